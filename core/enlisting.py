"""From settings, and what was typed, to the hosts that are looked for and the device that is dialled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from core.config import Config, DeviceEntry
from core.events import AnyEvent, PeerSeen
from core.joining import SSH, Wanted
from core.peers.finder import Finder
from core.peers.known import Known
from core.rehearsal.rehearsal import Rehearsal
from core.remote.target import WORK, Target


def finder(config: Config, rehearsal: Rehearsal | None, publish: Callable[[AnyEvent], None]) -> Finder:
    """What looks for peers. In a rehearsal the user's own hosts do not concern it."""
    if rehearsal is not None:
        return Finder(publish, scope=rehearsal.scope)
    known = [
        Known(
            name=one.called, dial=one.host, host=one.host.lower(), port=one.port or SSH, way="config",
            user=one.user or "",
        )
        for one in config.devices
    ]  # fmt: skip
    return Finder(publish, known=known, ssh_config=Path.home() / ".ssh" / "config")


def device_entry(peer: PeerSeen, wanted: Wanted) -> DeviceEntry:
    """The device that a peer becomes. A host the user knows is dialled by his name for it."""
    port = int(wanted.port) if wanted.port else None if peer.known or peer.port == SSH else peer.port
    return DeviceEntry(
        host=peer.known or peer.host,
        name=wanted.name.strip(),
        user=wanted.user.strip() or None,
        port=port,
        key=wanted.key.strip() or None,
        python=wanted.python.strip() or "python3",
        work=wanted.work.strip() or WORK,
        models=wanted.models.strip(),
    )


def target(peer: PeerSeen, device: DeviceEntry) -> Target:
    """How to reach it. Addresses from the network are for what has no name anywhere else."""
    return device.target if peer.known else replace(device.target, addresses=peer.addresses)

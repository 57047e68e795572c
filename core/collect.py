"""A bundle for a bug report: what every device printed, with nothing in it that names anybody."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Iterable, Mapping
from typing import cast

import msgspec

from core.anonymise import Anonymiser
from core.doctor import Finding
from core.probe.message import Read
from core.session.record import software
from core.state import ClusterState

FORMAT = "exo-tui-doctor/1"


def bundle(
    state: ClusterState, reads: Mapping[str, Iterable[Read]], findings: Iterable[Finding]
) -> dict[str, object]:
    """What can be sent: versions, devices as they printed, findings. `reads` is by device."""
    hidden = Anonymiser(_names(state, reads))
    devices = [
        {
            "name": device.id,
            "status": device.status,
            "detail": device.detail,
            "facts": device.facts,
            "sample": device.sample,
            "gaps": device.gaps,
            "reads": {read.name: read for read in reads.get(device.id, ()) if read.name != "auto_login"},
        }
        for device in state.devices.values()
    ]
    links = [{"last": link.last, "failure": link.failure} for link in state.links.values()]
    told = {
        "devices": devices,
        "cables": state.cables,
        "links": links,
        "alerts": state.alerts,
        "findings": tuple(findings),
    }
    return {
        "format": FORMAT,
        "software": software(),
        **{name: _hide(msgspec.to_builtins(one), hidden) for name, one in told.items()},
    }


def _names(state: ClusterState, reads: Mapping[str, Iterable[Read]]) -> set[str]:
    names = {getpass.getuser(), platform.node(), platform.node().partition(".")[0]}
    for device in state.devices.values():
        names |= {device.id, device.name, device.address, device.address.partition(".")[0]}
    for peer in state.peers.values():
        names |= {peer.name, peer.host.rstrip("."), peer.host.partition(".")[0]}
    for read in (read for some in reads.values() for read in some if read.name == "auto_login"):
        names |= set((read.text or "").split())  # whose account it is
    return {name for name in names if not name.replace(".", "").isdigit()} - {"localhost", "127", "root"}


def _hide(value: object, hidden: Anonymiser) -> object:
    """A document with every text in it replaced, keys too."""
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {hidden(key): _hide(one, hidden) for key, one in items}
    if isinstance(value, list | tuple):
        return [_hide(one, hidden) for one in cast("list[object]", value)]
    return value

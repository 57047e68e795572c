"""Who is in the cluster: the devices of the files, of this machine, and those that a person adds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from core import events as ev
from core import provisioning
from core.bus import Bus
from core.config import Config, ConfigError, keep
from core.enlisting import device_entry, target
from core.joining import Wanted, why_not_add
from core.member import Member
from core.probe.message import Read
from core.rehearsal.rehearsal import Rehearsal
from core.remote.door import Door
from core.remote.local import LocalMachine
from core.remote.machine import Machine
from core.remote.target import Target
from core.state import THIS_MACHINE


class Membership:
    """The members by name, and the doors of those that are behind SSH. `spawn` runs what takes its time."""

    def __init__(
        self,
        bus: Bus,
        config: Config,
        rehearsal: Rehearsal | None,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.members: dict[str, Member] = {}
        self._doors: dict[str, Door] = {}
        self._bus = bus
        self._config = config
        self._rehearsal = rehearsal
        self._keys = rehearsal.keys if rehearsal else config.host_keys
        self._spawn = spawn

    def join_configured(self) -> None:
        """Reach for every device the user's files name."""
        if self._config.local:
            machine = LocalMachine(sys.executable, self._config.cache)

            async def here() -> Machine:
                return machine

            self._enlist(Member(THIS_MACHINE, machine.address, self._bus.publish, here))
        for entry in self._config.devices:
            self._knock(entry.called, entry.target)

    def heard(self, event: ev.AnyEvent) -> None:
        """A rehearsed device is a member once it is announced."""
        if isinstance(event, ev.PeerSeen) and self._rehearsal is not None:
            names = {port: name for name, port in self._rehearsal.ports.items()}
            name = names.get(event.port)
            if name is not None and name not in self.members:
                self._knock(name, self._rehearsal.target(event.port), event.key)

    def add(self, peer: ev.PeerSeen, wanted: Wanted) -> None:
        """Reach for a peer as a person wants it; see `core.intents.Intents`."""
        peer = self._bus.state.peers.get(peer.key, peer)
        if reason := why_not_add(self._bus.state, peer):
            self._alert("info", peer.name, reason)
            return
        device = device_entry(peer, wanted)
        if wanted.keep:
            try:
                keep(self._config.folder, device)
            except (ConfigError, OSError) as error:
                self._alert("error", device.called, f"not written to config.toml: {error}")
        self._knock(device.called, target(peer, device), peer.key)

    def trust(self, device: str, accepted: bool) -> None:
        """A person has looked at the device's host key."""
        if device in self._doors:
            self._doors[device].answer(accepted)

    def provision(self, device: str) -> None:
        """Make a Python with mlx on a device."""
        if device in self._doors:
            work = provisioning.provision(self.members[device], self._doors[device], self._bus.publish)
            self._spawn(work)

    def unprovision(self, device: str) -> None:
        """Take that Python away again."""
        if device in self._doors:
            self._spawn(provisioning.remove(self.members[device], self._doors[device], self._bus.publish))

    def machine(self, device: str) -> Machine | None:
        """How to do something on a member; None while it cannot be reached."""
        return self.members[device].machine

    @property
    def reads(self) -> dict[str, tuple[Read, ...]]:
        """What each device's sources said last, word for word."""
        return {name: member.readings.raw for name, member in self.members.items()}

    def _knock(self, name: str, target: Target, peer: str = "") -> None:
        door = self._doors[name] = Door(name, target, self._keys, self._bus.publish)
        self._enlist(Member(name, target.host, self._bus.publish, door.open, peer))

    def _enlist(self, member: Member) -> None:
        self.members[member.name] = member
        self._spawn(member.run())

    def _alert(self, level: ev.Level, subject: str, text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level=level, subject=subject, text=text))

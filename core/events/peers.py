"""Who is heard of on the network."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.events.base import Event

Way = Literal["config", "ssh_config", "mdns", "dns-sd"]
"""How a peer is known: the first two are the user's own word, the others the network's."""


class PeerSeen(Event, frozen=True, kw_only=True):
    """A machine that was announced on the network, or named by the user: a hint, not verified."""

    key: str
    """Identity: its SRV host and port, or what the user's files say of them."""
    name: str
    host: str
    addresses: tuple[str, ...]
    port: int
    services: tuple[str, ...]
    txt: dict[str, str] = {}
    ways: tuple[Way, ...] = ("mdns",)
    known: str = ""
    """What the user calls it; ssh is given this name."""
    login: str = ""
    """What ssh_config says of the way there: user, key, jump host."""

    @property
    def announced(self) -> bool:
        """The network speaks of it; else only the user's files do."""
        return bool({"mdns", "dns-sd"} & set(self.ways))


class PeerLost(Event, frozen=True, kw_only=True):
    """The advert was withdrawn or expired."""

    key: str


class PeersHeard(Event, frozen=True, kw_only=True):
    """When announced peers last answered, by key: a machine that was unplugged does not say goodbye."""

    heard: dict[str, float]


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason why nothing is heard, and what to do about it. `command` is for this computer."""

    what: str
    why: str = ""
    todo: str = ""
    command: str = ""


class DiscoveryLooked(Event, frozen=True, kw_only=True):
    """Why the network shows nobody; no causes while somebody is seen."""

    causes: tuple[Cause, ...] = ()


PeerEvent = PeerSeen | PeerLost | PeersHeard | DiscoveryLooked

"""How devices are wired: network interfaces, Thunderbolt ports, and the cables between devices."""

from __future__ import annotations

from typing import Literal

import msgspec

LinkKind = Literal["loopback", "thunderbolt", "ethernet", "wifi", "vpn", "unknown"]

RdmaState = Literal[
    "no cable",
    "slow cable",
    "off here",
    "off there",
    "port down",
    "no IPv4",
    "ready",
    "in use",
    "faulted",
    "unknown",
]
"""What stands between a Thunderbolt port and RDMA: the first of these that applies, in this order."""

RDMA_GBPS = 80.0
"""RDMA needs Thunderbolt 5 at both ends and all along the cable (Apple TN3205)."""


class _Noun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Interface(_Noun, frozen=True, kw_only=True):
    """A network interface. `up` is whether there is a link."""

    name: str
    kind: LinkKind = "unknown"
    label: str = ""
    """What macOS calls its port: `Thunderbolt 2`, `Wi-Fi`."""
    up: bool | None = None
    addresses: tuple[str, ...] = ()
    """With their prefix lengths: `192.0.2.10/24`, `fe80::1%en2/64`."""
    bridge: str = ""
    """The bridge it is a member of: addresses are there then."""


class Far(_Noun, frozen=True, kw_only=True):
    """A computer seen at the other end of a port, maybe through docks."""

    domain: str
    """The domain id of the port it is seen by, lower case."""
    model: str = ""
    docks: tuple[str, ...] = ()
    rdma: bool | None = None
    """It announces the service of a Mac with RDMA on. Undocumented: a hint."""


class RdmaPort(_Noun, frozen=True, kw_only=True):
    """An RDMA device of one port, as ibv_devinfo has it."""

    name: str
    active: bool | None = None
    ipv4: bool | None = None
    """It has an IPv4-mapped GID, which JACCL needs. None: the table was not shown."""


class Port(_Noun, frozen=True, kw_only=True):
    """A Thunderbolt port. Its domain id is what a computer at the other end knows it by."""

    label: str = ""
    domain: str = ""
    interface: str = ""
    most_gbps: float | None = None
    """What the port can do; said by macOS only while nothing is plugged in."""
    gbps: float | None = None
    """The speed of the link that is there."""
    connected: bool | None = None
    far: tuple[Far, ...] = ()


class Wiring(_Noun, frozen=True, kw_only=True):
    """All of a device's. What could not be read is empty here, and named in the device's gaps."""

    interfaces: tuple[Interface, ...] = ()
    ports: tuple[Port, ...] = ()
    networks: tuple[str, ...] = ()
    """Destinations of its routes, as CIDR."""
    rdma: bool | None = None
    """What rdma_ctl says. A Mac without Thunderbolt 5 may say it too."""
    rdma_ports: tuple[RdmaPort, ...] | None = None
    """None: ibv_devinfo could not be asked. Empty: it lists none."""

    @property
    def thunderbolt5(self) -> bool | None:
        """Whether any port can do 80 Gb/s; None while no port tells."""
        known = [g for port in self.ports for g in (port.most_gbps, port.gbps) if g is not None]
        if any(g >= RDMA_GBPS for g in known):
            return True
        # A link slower than its port says nothing about the port.
        return False if any(port.most_gbps is not None for port in self.ports) else None

    def interface(self, name: str) -> Interface | None:
        """The interface of that name."""
        return next((one for one in self.interfaces if one.name == name), None)

    def carrier(self, name: str) -> Interface | None:
        """Where the addresses of an interface are: itself, or the bridge it is a member of."""
        own = self.interface(name)
        return self.interface(own.bridge) or own if own is not None and own.bridge else own

    def at(self, address: str) -> Interface | None:
        """The interface that has an address; of a scoped one, the interface of its scope."""
        bare, _, scope = address.partition("%")
        if scope and (scoped := self.interface(scope)):
            return scoped
        for one in self.interfaces:
            if any(bare == held.partition("/")[0].partition("%")[0] for held in one.addresses):
                return one
        return None


_ORDER: tuple[RdmaState, ...] = (
    "no cable", "slow cable", "off here", "off there", "port down", "no IPv4", "faulted", "unknown",
    "in use", "ready",
)  # fmt: skip
"""The further from being ready, the earlier."""


class End(_Noun, frozen=True, kw_only=True):
    """One end of a cable."""

    device: str
    port: str
    interface: str = ""
    rdma: RdmaState = "unknown"
    why: str = ""
    """What the state rests on, where that is not plain."""


class Cable(_Noun, frozen=True, kw_only=True):
    """A Thunderbolt cable between two devices, or from one to a computer that is none of them."""

    id: str
    """Both domain ids, sorted: the same from either end, and of each of two cables its own."""
    a: End
    b: End | None = None
    far: str = ""
    """What the computer without a device calls itself."""
    mutual: bool = False
    """Both ends name each other. One-sided: old news of one end, or an end that cannot be asked."""
    gbps: float | None = None
    docks: tuple[str, ...] = ()

    @property
    def thunderbolt(self) -> str:
        """The generation the link runs at: `TB5` from 80 Gb/s on."""
        if self.gbps is None:
            return "TB"
        return "TB5" if self.gbps >= RDMA_GBPS else "TB4" if self.gbps >= 40 else "TB"

    @property
    def rdma(self) -> RdmaState:
        """That of the end which is further from being ready."""
        ends = (self.a.rdma, self.b.rdma if self.b else self.a.rdma)
        return min(ends, key=_ORDER.index)

    def between(self, one: str, other: str) -> bool:
        """Whether it joins these two devices."""
        return self.b is not None and {self.a.device, self.b.device} == {one, other}

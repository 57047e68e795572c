"""The ways there are between two devices: which addresses of theirs are in one network."""

from __future__ import annotations

import ipaddress

import msgspec

from core.wiring import Interface, Wiring

MOST = 8
"""Ways between two devices that are looked at."""


class Way(msgspec.Struct, frozen=True):
    """From `local` on one device to `address` on the other. An empty `local` is left to the system."""

    address: str
    local: str = ""


class _Place(msgspec.Struct, frozen=True):
    address: ipaddress.IPv4Address
    network: ipaddress.IPv4Network
    interface: str


def ways(source: Wiring | None, target: Wiring | None, reached: str) -> tuple[Way, ...]:
    """`reached`, the address that is known to work, and one more for each other network that both are in.

    Left out are networks that a device is in twice: which of its interfaces serves them nobody can say.
    """
    found = {reached: Way(reached)}
    for here in _places(source):
        for there in _places(target):
            apart = here.address != there.address
            if apart and there.address in here.network and here.address in there.network:
                found.setdefault(str(there.address), Way(str(there.address), str(here.address)))
    return tuple(way for way in found.values() if stands(target, way.address) and stands(source, way.local))[
        :MOST
    ]


def stands(wiring: Wiring | None, address: str) -> bool:
    """Whether an address is on an interface with a link, as far as anybody can tell."""
    one = wiring.at(address) if wiring is not None and address else None
    return one is None or one.up is not False


def lost(wiring: Wiring | None, address: str, interface: str) -> str:
    """Why a path that had an end at this address and interface has it no longer; nothing where it has."""
    if wiring is None or not wiring.interfaces or not interface:
        return ""
    one = wiring.at(address)
    if one is None:
        return f"{interface} has lost its address"
    return f"{one.name} has no link" if one.up is False else ""


def distinct(wiring: Wiring, interface: str) -> bool:
    """Whether an interface with IPv4 addresses is alone in one of their networks; true where it has none."""
    carrier = wiring.carrier(interface)
    own = _of(carrier) if carrier is not None else []
    return not own or any(place in own for place in _places(wiring))


def _places(wiring: Wiring | None) -> list[_Place]:
    places = [place for one in (wiring.interfaces if wiring else ()) for place in _of(one)]
    return [
        place
        for place in places
        if not any(
            place.network.overlaps(other.network) for other in places if other.interface != place.interface
        )
    ]


def _of(interface: Interface) -> list[_Place]:
    if interface.up is False or interface.kind == "loopback":
        return []
    found = (ipaddress.ip_interface(one) for one in interface.addresses if "%" not in one)
    return [
        _Place(one.ip, one.network, interface.name)
        for one in found
        if isinstance(one, ipaddress.IPv4Interface) and not one.ip.is_loopback
    ]

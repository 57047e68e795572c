"""Addresses for cables: a small network for each, none of which is in use on any device."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from core.wiring import Cable, Interface, Wiring

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

POOLS = tuple(map(ipaddress.ip_network, ("10.213.0.0/20", "172.29.213.0/24", "192.168.213.0/24")))
"""Out of the way of home routers, which 192.168.0.0 is not: mlx.distributed_config begins there."""
MASK = "255.255.255.252"


def networks(interface: Interface) -> tuple[Network, ...]:
    """Networks of an interface's addresses; what every interface has one of, link-local, left out."""
    found = (ipaddress.ip_interface(one.replace(f"%{interface.name}", "")) for one in interface.addresses)
    return tuple(one.network for one in found if not one.ip.is_link_local and not one.ip.is_loopback)


def in_use(wirings: Iterable[Wiring]) -> list[ipaddress.IPv4Network]:
    """Every IPv4 network that some device is in or has a route to."""
    found: set[Network] = set()
    for wiring in wirings:
        for interface in wiring.interfaces:
            found.update(networks(interface))
        found.update(map(ipaddress.ip_network, wiring.networks))
    return sorted(one for one in found if isinstance(one, ipaddress.IPv4Network) and one.prefixlen)


def clashes(wiring: Wiring) -> list[tuple[Interface, Interface, str]]:
    """Interfaces with a link whose networks overlap: only one gets what is meant for both."""
    up = [(one, net) for one in wiring.interfaces if one.up and one.kind != "vpn" for net in networks(one)]
    return [
        (a, b, str(max(net, other, key=lambda n: n.prefixlen)))
        for i, (a, net) in enumerate(up)
        for b, other in up[i + 1 :]
        if a.name != b.name and net.version == other.version and net.overlaps(other)
    ]


def plan(cables: Iterable[Cable], wirings: Mapping[str, Wiring]) -> dict[str, tuple[str, str]]:
    """By cable id an address for end a and one for end b, for each cable between two devices."""
    used = in_use(wirings.values())
    free = (
        net
        for pool in POOLS
        for net in pool.subnets(new_prefix=30)
        if not any(net.overlaps(other) for other in used)
    )
    found: dict[str, tuple[str, str]] = {}
    for cable in cables:
        net = next(free, None) if cable.b is not None else None
        if net is not None:
            found[cable.id] = (str(net[1]), str(net[2]))
    return found


def command(interface: str, address: str) -> str:
    """What gives one end its address until the next start. For a person to run."""
    return f"sudo ifconfig {interface} inet {address} netmask {MASK}"

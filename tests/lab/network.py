"""The lab's wiring, as `ip -batch` lines.

Hosts hang on a bridge; a Thunderbolt cable is a bridge of its own with two ports. The bridges and the ports
are in a namespace that holds nothing else (the switch), so that no frame can reach the machine's interfaces.
Port names: `p-HOST` on the bridge, `tKa` and `tKb` on cable K.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network

Cables = Sequence[tuple[str, str]]

SUBNET = IPv4Network("10.77.0.0/24")
_BRIDGE = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0"


def address(number: int) -> str:
    """The console is number 0, h1 is 1, ..."""
    return str(SUBNET[1 if number == 0 else 10 + number])


def cable_address(cable: int, end: int) -> str:
    """End 0 or 1 of Thunderbolt cable `cable`."""
    return f"169.254.{cable + 1}.{end + 1}"


def port(cables: Cables, host: str, peer: str | None) -> str:
    """The switch's port for `host`, or for its end of the Thunderbolt cable to `peer`."""
    if peer is None:
        return f"p-{host}"
    for number, ends in enumerate(cables):
        if {host, peer} == set(ends):
            return f"t{number}{'ab'[ends.index(host)]}"
    raise KeyError(f"no Thunderbolt cable {host}-{peer}")


def wires(pids: Mapping[str, int], switch: int, cables: Cables) -> str:
    """Every wire. To be run in the switch: nothing is ever made in the machine's own network."""
    lines = [
        f"link add eth0 netns {pid} type veth peer name p-{host} netns {switch}" for host, pid in pids.items()
    ]
    for number, ends in enumerate(cables):
        for side, host in zip("ab", ends, strict=True):
            veth = f"type veth peer name t{number}{side} netns {switch}"
            lines.append(f"link add tb{number} netns {pids[host]} {veth}")
    return _batch(lines)


def switch_batch(hosts: Iterable[str], cables: Cables) -> str:
    """The bridges, and the ports on them."""
    lines = [f"link add br0 {_BRIDGE} ageing_time 30000", "link set br0 up"]
    lines += [f"link set p-{host} master br0 up" for host in hosts]
    for number in range(len(cables)):
        lines += [f"link add tb{number} {_BRIDGE}", f"link set tb{number} up"]
        lines += [f"link set t{number}{side} master tb{number} up" for side in "ab"]
    return _batch(lines)


def host_batch(name: str, number: int, cables: Cables) -> str:
    """A host's addresses. Multicast has a route, because there is no default one."""
    lines = [
        "link set lo multicast on up",
        f"link set eth0 address 02:76:6c:00:00:{number:02x} up",
        f"addr add {address(number)}/{SUBNET.prefixlen} brd + dev eth0",
        "route add 224.0.0.0/4 dev eth0",
    ]
    for cable, ends in enumerate(cables):
        if name in ends:
            lines += [
                f"link set tb{cable} address 02:76:6c:{cable + 1:02x}:00:{number:02x} up",
                f"addr add {cable_address(cable, ends.index(name))}/30 dev tb{cable}",
            ]
    return _batch(lines)


def _batch(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)

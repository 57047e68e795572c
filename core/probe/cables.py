"""Which cable joins which devices, from what each sees at its own ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from itertools import groupby

import msgspec

from core.probe import rdma
from core.wiring import Cable, End, Far, LinkKind, Port, Wiring

_Sight = tuple[str, Port, Far]


def cables(
    wirings: Mapping[str, Wiring],
    used: Collection[frozenset[str]] = (),
    faults: Mapping[str, str] | None = None,
) -> tuple[Cable, ...]:
    """Every Thunderbolt cable that ends in a computer.

    Two devices are joined where each names the other's domain id, at any depth of docks; a cable named from
    one end only is not mutual. Two cables between the same two devices are two. `used` holds the pairs of
    devices with a live RDMA run between them, `faults` what RDMA failed with on a device.
    """
    owners = {port.domain: name for name in sorted(wirings) for port in wirings[name].ports if port.domain}
    seen: list[tuple[str, _Sight]] = []
    for name in sorted(wirings):
        for port in wirings[name].ports:
            for far in port.far:
                if port.domain and far.domain and owners.get(port.domain) == name:
                    seen.append(("+".join(sorted((port.domain, far.domain))), (name, port, far)))
    found: list[Cable] = []
    for id_, sights in groupby(sorted(seen, key=lambda one: one[0]), key=lambda one: one[0]):
        by_domain: dict[str, list[_Sight]] = {}
        for _, sight in sights:
            by_domain.setdefault(sight[1].domain, []).append(sight)
        one, *other = by_domain.values()
        # All ports of a Linux computer share one domain: two cables may share an id.
        for i in range(max(len(one), len(other[0]) if other else 0)):
            a = one[i] if i < len(one) else None
            b = other[0][i] if other and i < len(other[0]) else None
            first, second = (a, b) if a is not None else (b, None)
            assert first is not None
            found.append(_cable(id_, first, second, wirings, owners, used, faults or {}))
    return tuple(sorted(found, key=lambda cable: (cable.a.device, cable.a.port, cable.id)))


def _cable(
    id_: str,
    sight: _Sight,
    answer: _Sight | None,
    wirings: Mapping[str, Wiring],
    owners: Mapping[str, str],
    used: Collection[frozenset[str]],
    faults: Mapping[str, str],
) -> Cable:
    device, port, far = sight
    other = answer[0] if answer else owners.get(far.domain)
    busy = other is not None and frozenset((device, other)) in used

    def end(name: str, port: Port, seen: Far | None) -> End:
        state, why = rdma.state(port, wirings[name], seen, used=busy, fault=faults.get(name, ""))
        return End(device=name, port=port.label, interface=port.interface, rdma=state, why=why)

    b = None
    if answer is not None:
        b = end(*answer)
    elif other is not None:
        there = next(port for port in wirings[other].ports if port.domain == far.domain)
        b = End(device=other, port=there.label, interface=there.interface, why="it does not see this cable")
    speeds = [p.gbps for p in (port, answer[1] if answer else None) if p is not None and p.gbps is not None]
    docks = dict.fromkeys((*far.docks, *(answer[2].docks if answer else ())))
    return Cable(
        id=id_,
        a=end(device, port, far),
        b=b,
        far="" if b else far.model,
        mutual=answer is not None,
        gbps=min(speeds, default=None),
        docks=tuple(docks),
    )


WORSE: tuple[LinkKind, ...] = ("loopback", "thunderbolt", "ethernet", "unknown", "wifi", "vpn")
"""Kinds of link, the best first. An unknown one is no better than what is known to be slow or worse."""


def worse(now: LinkKind, before: LinkKind) -> bool:
    """Whether a pair went from one kind of link to one that is known to be worse."""
    return "unknown" not in (now, before) and WORSE.index(now) > WORSE.index(before)


class Path(msgspec.Struct, frozen=True):
    """What two devices talk over: the kind of link, and the interface at each end where it is known."""

    kind: LinkKind
    source: str = ""
    target: str = ""


def path(source: Wiring | None, local: str, target: Wiring | None, address: str) -> Path:
    """The path between two addresses.

    `local` is what the source's system chose to talk from, empty where nobody told. A path is as good as its
    worse end, and of no known kind where one end is not known; but a tunnel is one whatever it ends in.
    """
    here = source.at(local) if source is not None and local else None
    there = target.at(address) if target is not None else None
    names = (here.name if here else "", there.name if there else "")
    if _same_computer(local, address):
        return Path("loopback", *names)
    kinds: list[LinkKind] = [one.kind for one in (here, there) if one is not None]
    if "vpn" in kinds or _tunnelled(local, address):
        return Path("vpn", *names)
    if len(kinds) < 2 or "unknown" in kinds or "loopback" in kinds:
        return Path("unknown", *names)
    return Path(max(kinds, key=WORSE.index), *names)


def _same_computer(local: str, address: str) -> bool:
    try:
        a, b = ipaddress.ip_address(local), ipaddress.ip_address(address)
    except ValueError:
        return False
    return a == b or (a.is_loopback and b.is_loopback)


# Shared by carriers and by Tailscale; two devices that reach each other on it are on a VPN. The
# second is Tailscale's own.
_VPN = (ipaddress.ip_network("100.64.0.0/10"), ipaddress.ip_network("fd7a:115c:a1e0::/48"))


def _tunnelled(local: str, address: str) -> bool:
    try:
        a, b = ipaddress.ip_address(local), ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(a in network and b in network for network in _VPN)

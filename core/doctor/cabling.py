"""What is wrong with a cable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core import addresses
from core.doctor.finding import Command, Finding, Severity
from core.state import ClusterState
from core.ways import distinct
from core.wiring import Cable, End, RdmaState, Wiring

_REMEDY: Mapping[RdmaState, tuple[Severity, str, str]] = {
    "off there": ("warning", "RDMA is off at the other end", "see what is said of that Mac, or ask it"),
    "port down": (
        "warning",
        "the RDMA port is down",
        "unplug the cable and plug it in again; if that does not help, restart both Macs",
    ),
    "no IPv4": ("warning", "the port has no IPv4 address, without which RDMA does not start", ""),
    "faulted": ("error", "RDMA failed here", "end the run; if it fails again, restart that Mac"),
    "unknown": ("unknown", "whether RDMA works is not known", ""),
}
"""`off here` is the Mac's own matter, `slow cable` is looked at below; the others are no trouble."""


def findings(state: ClusterState) -> Iterator[Finding]:
    """Of every cable."""
    wirings = {device.id: device.wiring for device in state.devices.values() if device.wiring is not None}
    plan = addresses.plan(state.cables, wirings)
    for cable in state.cables:
        if cable.b is None:
            yield _stranger(cable)
        elif not cable.mutual:
            yield _one_sided(cable, cable.a, cable.b)
        else:
            yield from _slow(cable, wirings)
            yield from _blocked(cable, cable.a, cable.b, wirings, plan)
            yield from _silent(cable, wirings, plan)
    yield from _versions(state)


def where(cable: Cable) -> str:
    """Both ends, as a person finds them."""
    far = f"{cable.b.device} {cable.b.port}" if cable.b else cable.far or "another computer"
    return f"{cable.a.device} {cable.a.port} — {far}"


def _devices(cable: Cable) -> tuple[str, ...]:
    return (cable.a.device, cable.b.device) if cable.b else (cable.a.device,)


def _stranger(cable: Cable) -> Finding:
    return Finding(
        level="info",
        devices=_devices(cable),
        where=where(cable),
        what="the cable leads to a computer that is no device of the cluster",
        todo="add it, if it is to take part",
    )


def _one_sided(cable: Cable, a: End, b: End) -> Finding:
    return Finding(
        level="warning",
        devices=_devices(cable),
        where=where(cable),
        what=f"only {a.device} sees the cable",
        why=f"{b.device} names nothing at that port: what {a.device} says may be old",
        todo="plug the cable in again",
    )


def _slow(cable: Cable, wirings: Mapping[str, Wiring]) -> Iterator[Finding]:
    if "slow cable" not in (cable.a.rdma, cable.b.rdma if cable.b else None):
        return
    ends = [wirings[name] for name in _devices(cable) if name in wirings]
    if any(end.thunderbolt5 is False for end in ends):
        return  # said of the Mac: no other cable would help
    if cable.docks:
        what = f"the cable goes through {' and '.join(cable.docks)}, at {cable.gbps or 0:g} Gb/s"
        todo = "join the Macs without the dock to have RDMA"
    else:
        what = f"the cable runs at {cable.gbps or 0:g} Gb/s"
        todo = "take a Thunderbolt 5 cable (80 Gb/s) to have RDMA"
    level = "warning" if all(end.thunderbolt5 for end in ends) else "info"
    yield Finding(level=level, devices=_devices(cable), where=where(cable), what=what, todo=todo)


def _blocked(
    cable: Cable, a: End, b: End, wirings: Mapping[str, Wiring], plan: Mapping[str, tuple[str, str]]
) -> Iterator[Finding]:
    for end, other, which in ((a, b, 0), (b, a, 1)):
        if end.rdma not in _REMEDY or (end.rdma == "off there" and other.rdma == "off here"):
            continue
        level, what, todo = _REMEDY[end.rdma]
        commands: tuple[Command, ...] = ()
        if end.rdma == "no IPv4" and end.interface:
            commands = _give_address(cable, end, which, wirings[end.device], plan)
            todo = "until the next start; the other end needs the other address" if commands else todo
        yield Finding(
            level=level,
            devices=_devices(cable),
            where=where(cable),
            what=f"{end.device}: {what}",
            why=end.why,
            todo=todo,
            commands=commands,
        )


def _give_address(
    cable: Cable, end: End, which: int, wiring: Wiring, plan: Mapping[str, tuple[str, str]]
) -> tuple[Command, ...]:
    """Out of the bridge, if it is in one, and an address of a network that nobody uses."""
    if cable.id not in plan or cable.b is None:
        return ()
    found: list[Command] = []
    own = wiring.interface(end.interface)
    if own is not None and own.bridge:
        found.append(Command(end.device, f"sudo ifconfig {own.bridge} deletem {end.interface}"))
    found.append(Command(end.device, addresses.command(end.interface, plan[cable.id][which])))
    other = cable.b if which == 0 else cable.a
    if other.rdma != "no IPv4" and other.interface:
        found.append(Command(other.device, addresses.command(other.interface, plan[cable.id][1 - which])))
    return tuple(found)


def _silent(
    cable: Cable, wirings: Mapping[str, Wiring], plan: Mapping[str, tuple[str, str]]
) -> Iterator[Finding]:
    """A cable without addresses carries nothing, RDMA or not; one whose addresses are like another's is not
    told from that one."""
    ends = [end for end in (cable.a, cable.b) if end is not None]
    if any(end.rdma == "no IPv4" for end in ends) or cable.id not in plan:
        return  # said with what RDMA wants
    without = [end.device for end in ends if _addressless(wirings[end.device], end)]
    unclear = [end.device for end in ends if not distinct(wirings[end.device], end.interface)]
    if without or unclear:
        yield Finding(
            level="warning",
            devices=_devices(cable),
            where=where(cable),
            what=f"no IPv4 address at {' and '.join(without)}: nothing goes by this cable"
            if without
            else f"{' and '.join(unclear)}: another interface is in its network, so it is no path of its own",
            todo="until the next start:",
            commands=tuple(
                Command(end.device, addresses.command(end.interface, address))
                for end, address in zip(ends, plan[cable.id], strict=True)
                if end.interface
            ),
        )


def _addressless(wiring: Wiring, end: End) -> bool:
    """Known to have none, neither its own nor its bridge's."""
    carrier = wiring.carrier(end.interface)
    return carrier is not None and all(":" in address for address in carrier.addresses)


def _versions(state: ClusterState) -> Iterator[Finding]:
    """RDMA fails between unlike versions of macOS (26.4.1 and 26.5 did)."""
    joined = {
        name for cable in state.cables if cable.b and cable.thunderbolt == "TB5" for name in _devices(cable)
    }
    releases = {
        name: device.facts.release
        for name, device in state.devices.items()
        if name in joined and device.facts is not None and device.facts.system == "Darwin"
    }
    if len(set(releases.values())) > 1:
        said = ", ".join(f"{name} {release}" for name, release in releases.items())
        yield Finding(
            level="warning",
            devices=tuple(releases),
            where=" — ".join(releases),
            what="the Macs run different versions of macOS",
            why=f"{said}; RDMA between unlike versions has failed",
            todo="update all of them to the same",
        )

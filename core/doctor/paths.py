"""What is wrong with the way two devices talk, and with what runs on them."""

from __future__ import annotations

from collections.abc import Iterator

from core.complaints import explain
from core.doctor.finding import Finding, Severity
from core.state import ClusterState, Link, Rank

_SLOW = {"wifi": "Wi-Fi", "vpn": "a VPN"}
UNREACHABLE = "No route to host"
"""errno 65 on a Mac: what Local Network privacy answers with (Apple TN3179)."""


def findings(state: ClusterState) -> Iterator[Finding]:
    """Of every link that was measured, and of the ranks of the last run."""
    for link in state.links.values():
        if link.failure:
            yield _failed(state, link)
        elif link.last is not None and (slow := _SLOW.get(link.last.kind)):
            yield from _detour(state, link, slow)
    yield from _one_way(state)
    if state.run is not None:
        for rank in state.run.ranks:
            yield from _rank(rank)


def _failed(state: ClusterState, link: Link) -> Finding:
    back = state.links.get(f"{link.target}→{link.source}")
    works_back = back is not None and not back.failure
    return Finding(
        level="error",
        devices=(link.source, link.target),
        where=f"{link.source} → {link.target}",
        what="no answer",
        why=link.failure,
        todo=remedy(link.failure, link.target, works_back=works_back),
    )


def remedy(failure: str, called: str, *, works_back: bool) -> str:
    """What to do where one device cannot call another one. `works_back`: that one can call the first."""
    if UNREACHABLE in failure:
        todo = (
            "macOS answers so where Local Network privacy forbids it; start exo-tui from Terminal or over "
            "ssh, outside of a tmux that was started elsewhere"
        )
        return f"the way back works, so {called} is up: {todo}" if works_back else todo
    if "cannot listen on" in failure:
        return f"{called} has no such address itself: name it in config.toml by one of a network both are in"
    if works_back:
        return f"the way back works: let the firewall of {called} take connections to Python"
    return "check the firewalls of both, and that they are in one network"


def _one_way(state: ClusterState) -> Iterator[Finding]:
    """Of pairs whose link works, but not for whoever calls from the other end; once for both ends."""
    told = {frozenset((link.source, link.target)) for link in state.links.values() if link.failure}
    for device in state.devices.values():
        for check in device.reached:
            pair = frozenset((device.id, check.about))
            if not check.ok and device.status == "ready" and pair not in told:
                told.add(pair)
                yield Finding(
                    level="error",
                    devices=(device.id, check.about),
                    where=f"{device.id} — {check.about}",
                    what="they cannot call each other both ways",
                    why=f"{device.id}: {check.told}",
                    todo=check.remedy,
                )


def _detour(state: ClusterState, link: Link, slow: str) -> Iterator[Finding]:
    """Over the air or a tunnel; that there is a cable makes it worse."""
    cable = next((c for c in state.cables if c.between(link.source, link.target) and c.mutual), None)
    level: Severity = "error" if cable is not None else "warning"
    todo = "join them by Ethernet or Thunderbolt; a run waits for this link at every token"
    if cable is not None:
        todo = "give both ends of the cable addresses of a network of its own"
    yield Finding(
        level=level,
        devices=(link.source, link.target),
        where=f"{link.source} → {link.target}",
        what=f"they talk over {slow}" + (", though a Thunderbolt cable joins them" if cable else ""),
        why=f"{link.last.address} is reached that way" if link.last else "",
        todo=todo,
    )


def _rank(rank: Rank) -> Iterator[Finding]:
    """What a rank that failed complained of last."""
    if rank.exit is None or rank.exit.code == 0:
        return
    for line in reversed(rank.log):
        if known := explain(line):
            yield Finding(
                level="error",
                devices=(rank.device,),
                where=f"rank {rank.rank} on {rank.device}",
                what=known.cause,
                why=line,
                todo=known.remedy,
            )
            return

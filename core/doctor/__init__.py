"""What is wrong with the cluster, why, and the command that mends it: pure rules over the state."""

from __future__ import annotations

from collections.abc import Iterable

from core.doctor import cabling, discovery, hosts, paths
from core.doctor.finding import LEVELS, Finding
from core.state import ClusterState

__all__ = ["Finding", "examine"]


def examine(state: ClusterState, only: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Findings, the worst first. With `only`, those that concern one of these devices."""
    found = [
        *discovery.findings(state),
        *hosts.findings(state),
        *cabling.findings(state),
        *paths.findings(state),
    ]
    wanted = set(only)
    kept = [one for one in found if not wanted or wanted & set(one.devices)]
    return tuple(sorted(kept, key=lambda one: LEVELS.index(one.level)))

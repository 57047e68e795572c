"""The state of a cluster: everything the screen shows, a pure fold over events."""

from core.state.cluster import ClusterState
from core.state.device import THIS_MACHINE, Device
from core.state.fold import apply
from core.state.link import Lane, Link, link_key
from core.state.request import Request, RequestStatus
from core.state.run import Rank, Run

__all__ = [
    "THIS_MACHINE",
    "ClusterState",
    "Device",
    "Lane",
    "Link",
    "Rank",
    "Request",
    "RequestStatus",
    "Run",
    "apply",
    "link_key",
]

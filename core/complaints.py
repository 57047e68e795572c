"""What the lines mean that MLX and its backends end with, and what to do about it."""

from __future__ import annotations

import re

import msgspec


class Complaint(msgspec.Struct, frozen=True):
    """The meaning of a line. `cause` ends no sentence; `remedy` is something to do."""

    cause: str
    remedy: str
    rdma: bool = False
    """It was RDMA that failed, so a backend without it may not."""


_RING = r"\[ring\].{0,200}"
_JACCL = r"\[jaccl\].{0,200}"

TABLE: tuple[tuple[re.Pattern[str], Complaint], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), complaint)
    for pattern, complaint in (
        # mlx#3467, #4191
        (
            r"no ipv4-mapped gid",
            Complaint(
                "the port has no IPv4 address yet",
                "give it one, or wait for a self-assigned one; take it out of the Thunderbolt Bridge",
                rdma=True,
            ),
        ),
        # mlx#3207, #3467
        (
            _JACCL + r"rtr failed with errno 22\b",
            Complaint(
                "the port has no IPv4 address, or belongs to the Thunderbolt Bridge",
                "give it one, or wait for a self-assigned one; take it out of the Thunderbolt Bridge",
                rdma=True,
            ),
        ),
        # mlx#3207, #4209: ten queue pairs a device, and a killed rank may leave its own
        (
            _JACCL + r"rtr failed with errno 16\b",
            Complaint(
                "queue pairs of an earlier rank are still there",
                "end every rank on that Mac; if it stays, reboot it",
                rdma=True,
            ),
        ),
        # mlx#4530
        (
            _JACCL + r"rtr failed with errno 60\b",
            Complaint(
                "the address it dials is not at the other end of that cable",
                "the cables were mapped before they were moved: plan again",
                rdma=True,
            ),
        ),
        # mlx#3207, #4530
        (
            r"allocate protection domain",
            Complaint(
                "the RDMA port is down, or its resources are used up",
                "check the cable and RDMA at the other end with `ibv_devinfo`; then reboot",
                rdma=True,
            ),
        ),
        # macOS renumbers ports, also after a reboot
        (
            _JACCL + r"could not find device",
            Complaint(
                "the ports were renumbered", "launch again: ports are mapped at every launch", rdma=True
            ),
        ),
        # mlx#3755, exo#1059, exo#2099
        (
            _JACCL + r"couldn't connect \(error: 65\)",
            Complaint(
                "rank 0 cannot be reached: Local Network privacy, or an address of one cable only",
                "start exo-tui over ssh or from Terminal, or allow it in Privacy & Security → Local Network",
                rdma=True,
            ),
        ),
        (
            _JACCL + r"couldn't connect",
            Complaint(
                "rank 0 cannot be reached: its address, a firewall, or Local Network privacy",
                "check the firewall of rank 0's device and Privacy & Security → Local Network",
                rdma=True,
            ),
        ),
        # mlx#4530
        (
            _JACCL + r"recv failed with errno=2\b",
            Complaint(
                "another rank ended while starting",
                "read that rank's last lines: this one is not the cause",
            ),
        ),
        # mlx#1903; 49 and 98, 48 and 99 are macOS's and Linux's numbers
        (
            r"couldn't bind socket \(error: (?:49|99)\)",
            Complaint(
                "the address is no longer on this device",
                "launch again: addresses are chosen at every launch",
            ),
        ),
        (
            r"couldn't bind socket \(error: (?:48|98)\)",
            Complaint("an earlier rank still holds the port", "end the ranks left on that device"),
        ),
        # exo#2309
        (
            _RING + r"couldn't connect",
            Complaint(
                "the neighbour does not listen there: it has not started, or a firewall is between",
                "read the neighbour's last lines, then check its firewall",
            ),
        ),
        (
            _RING + r"(?:errno (?:54|104)\b|too many send/recv errors)",
            Complaint("a neighbour rank ended", "read that rank's last lines: this one is not the cause"),
        ),
        # mlx#3142, #3830
        (
            r"gpu timeout error|kIOGPUCommandBufferCallbackErrorTimeout",
            Complaint(
                "the GPU waited too long for another rank",
                "read the other ranks' last lines; if its GPU stays at 100 %, reboot that Mac",
            ),
        ),
        # common words of Metal and MLX
        (
            r"insufficient memory|kIOGPUCommandBufferCallbackErrorOutOfMemory",
            Complaint("the GPU ran out of memory", "plan with a shorter context, or with more devices"),
        ),
    )
)
"""Searched in order. The issues named say where each line was seen; numbers are errno."""

LONGEST = 2000


def explain(line: str) -> Complaint | None:
    """What a line of a rank's stderr means, where it is one that is known."""
    line = line[:LONGEST]
    return next((complaint for pattern, complaint in TABLE if pattern.search(line)), None)

"""Lines that MLX ends with. Synthetic, in the shapes that its sources and issue threads show."""

from __future__ import annotations

import pytest

from core.complaints import explain


@pytest.mark.parametrize(
    ("line", "cause", "rdma"),
    [
        ("[jaccl] No IPv4-mapped GID", "no IPv4 address", True),
        ("RuntimeError: [jaccl] Changing queue pair to RTR failed with errno 22", "no IPv4 address", True),
        ("[jaccl] Changing queue pair to RTR failed with errno 16", "queue pairs", True),
        ("[jaccl] Changing queue pair to RTR failed with errno 60", "other end of that cable", True),
        ("[jaccl] Couldn't allocate protection domain", "port is down", True),
        ("[jaccl] Could not find device rdma_en9 (2 available)", "renumbered", True),
        ("[jaccl] Couldn't connect (error: 60)", "firewall", True),
        ("[jaccl] Couldn't connect (error: 65)", "Local Network privacy", True),
        ("[jaccl] Recv failed with errno=2", "another rank", False),
        ("[ring] Couldn't bind socket (error: 49)", "no longer on this device", False),
        ("[ring] Couldn't bind socket (error: 98)", "earlier rank", False),
        ("[ring] Couldn't connect (error: 111)", "does not listen", False),
        ("[ring] Receiving from socket 7 failed with errno 54", "neighbour rank ended", False),
        ("[ring] Too many send/recv errors. Aborting...", "neighbour rank ended", False),
        (
            "[METAL] Command buffer execution failed: Caused GPU Timeout Error (00000002:k)",
            "waited too long",
            False,
        ),
        ("[METAL] Command buffer execution failed: Insufficient Memory (00000008:k)", "out of memory", False),
    ],
)
def test_a_known_line_has_a_cause_and_a_remedy(line: str, cause: str, rdma: bool) -> None:
    known = explain(line)
    assert known is not None and cause in known.cause and known.remedy and known.rdma is rdma


@pytest.mark.parametrize("line", ["", "loaded layers 0 to 11", "errno 22", "jaccl " * 100_000])
def test_other_lines_mean_nothing(line: str) -> None:
    assert explain(line) is None

"""The suite runs in two processes at a time, each on a network of its own, where their multicast stays."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab.namespaces import NEWNET, unshare, why_not

PROCESSES = 2
"""Most tests wait for processes of their own; more of them at a time than cores only makes each slower."""


def pytest_xdist_auto_num_workers() -> int:
    """None but this process where it can make no networks."""
    return 0 if why_not() else PROCESSES


def pytest_configure(config: pytest.Config) -> None:
    """Leave the machine's network, in a process that is one of several."""
    if hasattr(config, "workerinput"):
        unshare(NEWNET)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=20)

"""Fixtures: a lab of three hosts with sshd, joined by a ring of Thunderbolt cables."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence

import pytest

from .avahi import Avahi, why_no_avahi
from .host import Host
from .namespaces import why_not
from .vlab import Lab

RING = [("h1", "h2"), ("h2", "h3"), ("h3", "h1")]

possible = functools.cache(why_not)


def unless(reason: str | None) -> None:
    """Skip for `reason`; fail where the lab is required (in CI), so that a skip cannot pass for a pass."""
    if reason is None:
        return
    if os.environ.get("EXO_TUI_LAB") == "required":
        pytest.fail(f"no lab, but EXO_TUI_LAB=required: {reason}", pytrace=False)
    pytest.skip(f"no lab: {reason}")


def started(hosts: int, cables: Sequence[tuple[str, str]]) -> Lab:
    """So many hosts with sshd, and these cables."""
    unless(possible())
    lab = Lab(hosts, tb=cables).up()
    try:
        for host in lab.machines:
            host.sshd()
        for host in lab.machines:
            host.wait_port()
    except BaseException:
        lab.down()
        raise
    return lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """One for all tests that leave it as they found it."""
    shared = started(3, RING)
    yield shared
    shared.down()


@pytest.fixture
def fresh_lab() -> Iterator[Lab]:
    """One for a test that breaks it."""
    own = started(3, RING)
    yield own
    own.down()


@pytest.fixture
def console(lab: Lab) -> Iterator[Host]:
    """The test's thread is on the console's network: sockets, event loops and apps made in it live there."""
    with lab.enter("console") as host:
        yield host


@pytest.fixture(scope="module")
def avahi_peers(lab: Lab) -> Iterator[dict[str, Avahi]]:
    """By host: h1 announces itself as a Mac with Remote Login on does, h2 as one of our own."""
    unless(why_no_avahi())
    running: dict[str, Avahi] = {}
    try:
        for name in ("h1", "h2"):
            running[name] = Avahi(lab[name])
        running["h1"].publish("Jane's Mac Studio", "_ssh._tcp", 22)
        running["h2"].publish("mini", "_exo-tui._tcp", 22, "v=1")
        yield running
    finally:
        for avahi in running.values():
            avahi.stop()

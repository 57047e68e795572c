"""Links between devices that do not share a machine, this computer among them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from core.bus import Bus
from core.cluster import Cluster
from core.config import Config, DeviceEntry
from core.state import THIS_MACHINE, Link

from .cluster import LIMIT, device
from .host import Host
from .vlab import Lab


async def test_every_pair_is_measured_at_an_address_that_the_other_end_reaches(
    lab: Lab, console: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent here listens on loopback at first, where nobody else finds it. A path's kind is that of the
    interfaces which the timed connection itself used."""
    monkeypatch.setenv("HOME", str(tmp_path))
    config = Config(
        tmp_path,
        tmp_path / "cache",
        tuple(msgspec.convert(device(lab[name]), DeviceEntry) for name in ("h1", "h2")),
    )
    config.known_hosts.write_text("".join(lab[name].known_hosts_line() for name in ("h1", "h2")))
    cluster = Cluster(Bus(), config)
    try:
        await cluster.start()
        async with asyncio.timeout(LIMIT):
            state = await cluster.bus.until(
                lambda state: len(state.links) == 3 and all(map(_told, state.links.values()))
            )
    finally:
        await cluster.close()
    places = {"h1": lab["h1"].ip, "h2": lab["h2"].ip, THIS_MACHINE: console.ip}
    assert {frozenset((link.source, link.target)) for link in state.links.values()} == {
        frozenset(("h1", "h2")),
        frozenset((THIS_MACHINE, "h1")),
        frozenset(("h2", THIS_MACHINE)),
    }
    for link in state.links.values():
        last = link.last
        assert last is not None, link.failure
        assert (last.address, last.local) == (places[link.target], places[link.source])
        assert (last.received, last.kind, last.source_interface) == (30, "ethernet", "eth0")


def _told(link: Link) -> bool:
    """Measured, its interfaces known by then, or failed."""
    return (link.last is not None and link.last.kind != "unknown") or link.failure != ""

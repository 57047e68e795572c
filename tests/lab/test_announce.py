"""`exo-tui announce` on a host is seen by the console and by a program that is not ours, and says goodbye."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

import pytest

from core import events as ev
from core.peers.adverts import Board
from core.peers.mdns import Browser

from .avahi import Avahi
from .host import Host
from .vlab import Lab

LIMIT = 30


class Heard:
    """What the board says, and waiting for it."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[ev.AnyEvent] = asyncio.Queue()

    async def first(self, kind: type[ev.AnyEvent], key: str = "") -> ev.AnyEvent:
        """The next event of a kind, of one peer."""
        async with asyncio.timeout(LIMIT):
            while True:
                event = await self._events.get()
                if isinstance(event, kind) and getattr(event, "key", "").startswith(key):
                    return event

    async def answered(self, key: str) -> float:
        """When a peer last answered, as the next roll that has it says."""
        while True:
            roll = await self.first(ev.PeersHeard)
            assert isinstance(roll, ev.PeersHeard)
            if key in roll.heard:
                return roll.heard[key]

    def __call__(self, event: ev.AnyEvent) -> None:
        self._events.put_nowait(event)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
async def test_a_host_that_announces_itself_is_seen_and_leaves_with_a_goodbye(
    end: signal.Signals, lab: Lab, avahi_peers: dict[str, Avahi], console: Host
) -> None:
    command = [sys.executable, "-m", "tui", "announce", "--name", "Jane's box"]
    heard = Heard()
    browser = Browser(Board(heard, scope=None, clock=time.time), heard, interfaces=[console.ip], again_s=0.2)
    await browser.start()
    announcing = lab["h3"].popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        peer = await heard.first(ev.PeerSeen, "Jane-s-box".lower())
        assert isinstance(peer, ev.PeerSeen)
        assert (peer.name, peer.port, peer.services) == ("Jane's box", 22, ("_exo-tui._tcp",))
        assert lab["h3"].ip in peer.addresses
        assert peer.txt["chip"] and int(peer.txt["memory"]) > 2**28 and peer.txt["version"]
        assert time.time() - await heard.answered(peer.key) < LIMIT
        if end == signal.SIGTERM:
            seen = await asyncio.to_thread(
                lab["h2"].run, ["avahi-browse", "-rpt", "_exo-tui._tcp"], timeout=LIMIT
            )
            assert "Jane-s-box" in seen and "chip=" in seen, seen
        announcing.send_signal(end)
        lost = await heard.first(ev.PeerLost)
        assert isinstance(lost, ev.PeerLost) and lost.key == peer.key
        _, said = await asyncio.to_thread(announcing.communicate, timeout=LIMIT)
        assert announcing.returncode == 130
        assert b"Jane's box is announced at port 22: " in said and b"Traceback" not in said
    finally:
        announcing.kill()
        await browser.close()

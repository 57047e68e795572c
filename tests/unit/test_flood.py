"""Very many adverts, by real multicast on loopback: 200 are all listed, 10,000 refused in one line."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from zeroconf import DNSAddress, DNSOutgoing, DNSPointer, DNSService, DNSText
from zeroconf.asyncio import AsyncZeroconf

from core import events as ev
from core.peers.adverts import PEERS, Board
from core.peers.known import Known
from core.peers.mdns import Browser
from core.state import ClusterState, apply

SSH = "_ssh._tcp.local."
LIMIT = 60
ANSWER, IN = 0x8400, 1


class Console:
    """A browser on loopback, and the state that comes of it."""

    def __init__(self) -> None:
        self.state = ClusterState()
        self.alerts: list[str] = []
        self.changed = asyncio.Event()
        self.board = Board(self.take, scope=None, clock=time.time)
        self.browser = Browser(self.board, self.take, interfaces=["127.0.0.1"])

    def take(self, event: ev.AnyEvent) -> None:
        self.state = apply(self.state, event)
        if isinstance(event, ev.Alert):
            self.alerts.append(event.text)
        self.changed.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(LIMIT):
            while len(self.state.peers) < count:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def browsing() -> AsyncIterator[tuple[Console, AsyncZeroconf]]:
    console, network = Console(), AsyncZeroconf(["127.0.0.1"])
    await network.zeroconf.async_wait_for_start()
    await console.browser.start()
    try:
        yield console, network
    finally:
        await console.browser.close()
        await network.async_close()


async def announce(network: AsyncZeroconf, numbers: Iterable[int]) -> None:
    """Whole adverts, ten in a packet, as fast as the browser's side gets to read them."""
    said = DNSOutgoing(ANSWER)
    for number in numbers:
        host, name = f"mac-{number}.local.", f"mac {number}.{SSH}"
        said.add_answer_at_time(DNSPointer(SSH, 12, IN, 4500, name), 0)
        said.add_answer_at_time(DNSService(name, 33, IN, 120, 0, 0, 22, host), 0)
        said.add_answer_at_time(DNSText(name, 16, IN, 4500, b"\x0cchip=[red]M9"), 0)
        said.add_answer_at_time(DNSAddress(host, 1, IN, 120, socket.inet_aton("127.0.0.9")), 0)
        if number % 10 == 9:
            network.zeroconf.async_send(said)
            said = DNSOutgoing(ANSWER)
            await asyncio.sleep(0)


async def test_two_hundred_adverts_are_all_listed_and_nothing_is_said() -> None:
    async with browsing() as (console, network):
        await announce(network, range(200))
        await console.until(200)
        assert {peer.txt["chip"] for peer in console.state.peers.values()} == {"[red]M9"}
        assert console.alerts == []


async def test_ten_thousand_are_capped_in_one_line_and_a_host_of_the_users_stays() -> None:
    async with browsing() as (console, network):
        console.board.know([Known(name="studio", host="studio.local")])
        await announce(network, range(10_000))
        await console.until(PEERS + 1)
        assert len(console.state.peers) == PEERS + 1
        assert console.state.peers["studio.local:22"].name == "studio"
        [alert] = console.alerts
        assert alert.startswith(f"over {PEERS} peers are announced") and "flooding" in alert


async def test_two_consoles_on_one_machine_both_hear_the_answers() -> None:
    async with browsing() as (one, network), browsing() as (other, _):
        await announce(network, range(20))
        await asyncio.gather(one.until(20), other.until(20))

"""Finding and being found, with real zeroconf on the loopback interface."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from core.events import AnyEvent, PeerLost, PeerSeen
from core.peers.adverts import ADDRESSES, ADVERTS_OF_A_PEER, PEERS, Board, advert
from core.peers.announce import Announcement
from core.peers.diagnose import interfaces
from core.peers.mdns import Browser

HERE = "127.0.0.1"
PATIENCE = 20


class Heard:
    """Collects events and waits for what they add up to."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.peers: dict[str, PeerSeen] = {}
        self.changed = asyncio.Event()

    def __call__(self, event: AnyEvent) -> None:
        self.events.append(event)
        if isinstance(event, PeerSeen):
            self.peers[event.key] = event
        elif isinstance(event, PeerLost):
            del self.peers[event.key]
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def named(self, start: str) -> PeerSeen:
        def found() -> list[PeerSeen]:
            return [peer for peer in self.peers.values() if peer.name.startswith(start)]

        await self.until(lambda: bool(found()))
        return found()[0]


class Network:
    """Browsers and announcements on loopback, closed in the end."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack

    async def browse(self, scope: str | None) -> Heard:
        heard = Heard()
        browser = Browser(Board(heard, scope=scope, clock=time.time), heard, interfaces=[HERE])
        await browser.start()
        self.stack.push_async_callback(browser.close)
        return heard

    async def announce(self, name: str, txt: dict[str, str], port: int = 7000) -> Announcement:
        announcement = Announcement(name, port, [HERE], txt, [HERE])
        await announcement.start()
        self.stack.push_async_callback(announcement.close)
        return announcement


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    async with AsyncExitStack() as stack:
        yield Network(stack)


@pytest.fixture
def token() -> str:
    return secrets.token_hex(8)


async def test_two_rehearsals_and_a_console_do_not_see_each_other(network: Network, token: str) -> None:
    mine, other, console = [await network.browse(scope) for scope in (token, token + "x", None)]
    await network.announce("mine", {"rehearsal": token})
    await network.announce("other", {"rehearsal": token + "x"})
    assert (await mine.named("mine")).txt["rehearsal"] == token
    await other.named("other")
    assert len(mine.peers) == len(other.peers) == 1
    assert not any(peer.name.startswith(("mine", "other")) for peer in console.peers.values())


async def test_what_was_announced_arrives(network: Network, token: str) -> None:
    await network.announce("Büro Mac. 2", {"rehearsal": token, "chip": "M9"}, port=7001)
    peer = await (await network.browse(token)).named("Büro Mac. 2")
    assert (peer.port, peer.addresses, peer.services) == (7001, (HERE,), ("_exo-tui._tcp",))
    assert peer.host.endswith(".local") and peer.key == f"{peer.host}:7001"
    assert peer.txt == {"rehearsal": token, "chip": "M9"}


async def test_escape_sequences_arrive_clean(network: Network, token: str) -> None:
    heard = await network.browse(token)
    zeroconf = AsyncZeroconf([HERE])
    network.stack.push_async_callback(zeroconf.async_close)
    hostile = AsyncServiceInfo(
        "_ssh._tcp.local.",
        f"dev\x9b31m\u202e {token}._ssh._tcp.local.",
        port=22,
        addresses=[ipaddress.ip_address(HERE).packed],
        properties={"rehearsal": token, "a": "\x1b]0;owned\x07red\n\x9b2J", "\x1b[1mb": "c"},
        server=f"dev\x9b2J-{token}.local.",
    )
    await zeroconf.async_register_service(hostile, cooperating_responders=True)
    peer = await heard.named("dev")
    assert (peer.name, peer.host) == (f"dev {token}", f"dev-{token}.local")
    assert peer.txt == {"rehearsal": token, "a": "red", "b": "c"}


async def test_a_name_with_control_characters_can_be_announced(network: Network, token: str) -> None:
    heard = await network.browse(token)
    await network.announce("\x1b[31mred\n" + "ü" * 80, {"rehearsal": token})
    await heard.named("red ü")


async def test_two_services_of_a_host_are_one_peer_until_the_last_is_gone(
    network: Network, token: str
) -> None:
    heard = await network.browse(token)
    zeroconf = AsyncZeroconf([HERE])
    network.stack.push_async_callback(zeroconf.async_close)
    ssh, sftp = (
        AsyncServiceInfo(
            f"{service}.local.",
            f"mac {token}.{service}.local.",
            port=22,
            addresses=[ipaddress.ip_address(address).packed],
            properties={"rehearsal": token, service: "yes"},
            server=f"mac-{token}.local.",
        )
        for service, address in (("_ssh._tcp", HERE), ("_sftp-ssh._tcp", HERE))
    )
    for info in (ssh, sftp):
        await zeroconf.async_register_service(info, cooperating_responders=True)
    key = f"mac-{token}.local:22"
    await heard.until(lambda: key in heard.peers and len(heard.peers[key].services) == 2)
    peer = heard.peers[key]
    assert peer.services == ("_sftp-ssh._tcp", "_ssh._tcp")
    assert peer.txt == {"rehearsal": token, "_ssh._tcp": "yes", "_sftp-ssh._tcp": "yes"}
    await (await zeroconf.async_unregister_service(ssh))
    await heard.until(lambda: heard.peers[key].services == ("_sftp-ssh._tcp",))
    await (await zeroconf.async_unregister_service(sftp))
    await heard.until(lambda: not heard.peers)
    assert isinstance(heard.events[-1], PeerLost)


async def test_a_closed_announcement_is_lost_at_once(network: Network, token: str) -> None:
    heard = await network.browse(token)
    announcement = await network.announce("short", {"rehearsal": token})
    await heard.named("short")
    await announcement.close()
    await heard.until(lambda: not heard.peers)


def board(scope: str | None = None) -> tuple[Board, list[AnyEvent]]:
    events: list[AnyEvent] = []
    ticks = iter(range(10_000))
    return Board(events.append, scope=scope, clock=lambda: float(next(ticks))), events


def put(
    on: Board, name: str = "a", host: str = "h", addresses: tuple[str, ...] = (HERE,), **txt: str
) -> None:
    properties = {key.encode(): value.encode() for key, value in txt.items()}
    service = "_ssh._tcp.local."
    on.put(advert(f"{name}.{service}", service, f"{host}.local.", 22, addresses, properties))


def test_an_unchanged_advert_is_said_once() -> None:
    on, events = board()
    put(on, addresses=("10.0.0.1", "10.0.0.2"))
    put(on, addresses=("10.0.0.2", "10.0.0.1"))
    assert len(events) == 1
    put(on, addresses=("10.0.0.2",))
    assert len(events) == 2


def test_an_advert_that_moves_to_another_host_leaves_the_first() -> None:
    on, events = board()
    put(on, host="Old")
    put(on, host="new")
    assert [(type(event), event.key) for event in events if isinstance(event, PeerSeen | PeerLost)] == [
        (PeerSeen, "old.local:22"),
        (PeerLost, "old.local:22"),
        (PeerSeen, "new.local:22"),
    ]


def test_an_advert_that_joins_a_rehearsal_is_gone_for_the_console() -> None:
    on, events = board()
    put(on)
    put(on, rehearsal="x")
    on.remove("a._ssh._tcp.local.")
    assert [type(event) for event in events] == [PeerSeen, PeerLost]


def test_a_flood_is_capped() -> None:
    on, events = board()
    for number in range(PEERS + 50):
        put(on, name=f"a{number}", host=f"h{number}")
    assert sum(isinstance(event, PeerSeen) for event in events) == PEERS
    for number in range(ADVERTS_OF_A_PEER + 50):
        put(on, name=f"b{number}", host="h0", **{f"k{number}": "v" * 300})
    last = events[-1]
    assert isinstance(last, PeerSeen)
    assert len(last.txt) == ADVERTS_OF_A_PEER - 1
    assert {len(value) for value in last.txt.values()} == {256}
    many = advert("x", "_ssh._tcp.local.", "h.", 1, [f"10.0.0.{n}" for n in range(99)], {})
    assert len(many.addresses) == ADDRESSES


def test_addresses_to_try_first_come_first() -> None:
    given = ["fe80::1%3", "169.254.1.1", "2001:db8::1", "10.0.0.10", "10.0.0.9"]
    found = advert("x", "_ssh._tcp.local.", "h.", 1, given, {}).addresses
    assert found == ("10.0.0.9", "10.0.0.10", "169.254.1.1", "2001:db8::1", "fe80::1%3")


def test_bytes_that_are_no_text_become_text() -> None:
    txt = advert("x", "_ssh._tcp.local.", "h.", 1, [], {b"a\xff": b"\xfe", b"": None, b"flag": None}).txt
    assert txt == {"a\ufffd": "\ufffd", "flag": ""}


def test_this_machine_has_loopback() -> None:
    assert HERE in [address for _, address in interfaces()]

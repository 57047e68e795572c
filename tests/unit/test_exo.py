"""exo's nodes are seen, and left alone."""

from __future__ import annotations

import asyncio

from zeroconf import DNSIncoming, DNSOutgoing, DNSPointer, DNSText
from zeroconf.asyncio import AsyncZeroconf

from core import events as ev
from core.exo import node
from core.joining import why_not_add
from core.peers import libp2p
from core.peers.adverts import Board
from core.state import ClusterState, apply

PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
TXT = f"dnsaddr=/ip4/192.168.1.9/tcp/49153/p2p/{PEER}".encode()


async def answers(said: bytes) -> str:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        found = await node("127.0.0.1", server.sockets[0].getsockname()[1])
    assert asked and asked[0].startswith(b"GET /node_id HTTP/1.0\r\n"), "asked for no more than its id"
    return found


async def test_a_node_tells_its_id_and_nothing_else_is_taken_for_one() -> None:
    ok = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
    assert await answers(ok + b'"b1c2\\u001b[31m"') == "b1c2"
    assert await answers(ok + b'{"id": 1}') == ""
    assert await answers(ok + b"<html>") == ""
    assert await answers(b'HTTP/1.1 404 Not Found\r\n\r\n"x"') == ""
    assert await answers(b"\xff\x00") == ""
    assert await answers(ok + b'"\xff"') == ""


def test_an_address_of_libp2p_is_read() -> None:
    found = libp2p.node(b"\x40" + TXT)
    assert found is not None
    assert (found.name, found.host, found.port) == ("exo node? 4kx6nXTN", "192.168.1.9", 49153)
    assert libp2p.node(b"dnsaddr=/ip4/999.1.1.1/tcp/1/p2p/12D3KooWxxxxxxx") is None
    assert libp2p.node(b"dnsaddr=/dns4/a/tcp/1/p2p/" + PEER.encode()) is None


async def test_a_node_that_announces_itself_is_listed_and_cannot_be_added() -> None:
    heard: asyncio.Queue[ev.AnyEvent] = asyncio.Queue()
    listening, speaking = AsyncZeroconf(["127.0.0.1"]), AsyncZeroconf(["127.0.0.1"])
    try:
        await listening.zeroconf.async_wait_for_start()
        libp2p.listen(listening.zeroconf, Board(heard.put_nowait, scope=None, clock=lambda: 1.0))
        said = DNSOutgoing(0x8400)
        said.add_answer_at_time(DNSPointer("_p2p._udp.local.", 12, 1, 120, "abcdef."), 0)
        said.add_answer_at_time(DNSText("abcdef.", 16, 1, 120, bytes([len(TXT)]) + TXT), 0)
        assert DNSIncoming(said.packets()[0]).valid
        await speaking.zeroconf.async_wait_for_start()
        speaking.zeroconf.async_send(said)
        peer = await asyncio.wait_for(heard.get(), 20)
    finally:
        await listening.async_close()
        await speaking.async_close()
    assert isinstance(peer, ev.PeerSeen) and peer.addresses == ("192.168.1.9",)
    reason = why_not_add(apply(ClusterState(), peer), peer)
    assert reason is not None and reason.startswith("is listed only")

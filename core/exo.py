"""exo on our devices: seen by its API, and left alone.

Only devices of the cluster are asked, which the user has added, and asked for no more than the node's id.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Mapping

import msgspec

from core.bus import Bus
from core.events import ExoSeen
from core.member import Member
from core.text import MALFORMED, clean_line

PORT = 52415
"""Of exo's API, unless it was told otherwise."""
EVERY_S = 30.0
LIMIT_S = 2.0
ANSWER = 4096
"""Bytes of an answer that are read; an id is a line."""


async def watch(members: Mapping[str, Member], bus: Bus) -> None:
    """Look at every connected device now and then, until cancelled."""
    said: dict[str, str] = {}
    while True:
        there = {name: one.machine.address for name, one in members.items() if one.machine is not None}
        nodes = await asyncio.gather(*map(node, there.values()))
        for name, found in zip(there, nodes, strict=True):
            if said.get(name, "") != found:
                said[name] = found
                bus.publish(ExoSeen(t=time.time(), device=name, node=found))
        await asyncio.sleep(EVERY_S)


async def node(address: str, port: int = PORT) -> str:
    """The id of the exo node at an address; empty where nothing like it answers."""
    try:
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                host = (
                    f"[{address}]"
                    if ipaddress.ip_address(address.partition("%")[0]).version == 6
                    else address
                )
                writer.write(f"GET /node_id HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
                head, _, body = (await reader.read(ANSWER)).partition(b"\r\n\r\n")
                if not body:
                    body = await reader.read(ANSWER)
            finally:
                writer.close()
    except (OSError, ValueError):
        return ""
    return _node(head, body)


def _node(head: bytes, body: bytes) -> str:
    status = head.split(b" ", 2)
    if len(status) < 3 or not status[0].startswith(b"HTTP/") or status[1] != b"200":
        return ""
    try:
        return clean_line(msgspec.json.decode(body, type=str), 64)
    except MALFORMED:
        return ""

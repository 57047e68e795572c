"""Listening for peers through macOS's own `dns-sd`, which may hear where our sockets are not let to.

`dns-sd -B` says which instances come and go, `dns-sd -L` where one is; neither ends by itself. Both print
tables for people. Written from the tool's source and its manual; untested on hardware.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import NamedTuple

from core.events import Alert, AnyEvent
from core.peers.adverts import OWN, Advert, Board, advert
from core.text import clean_line

PROGRAM = "dns-sd"
SERVICES = (OWN, "_ssh._tcp", "_sftp-ssh._tcp")
LOOKUP_S = 5.0
TXT_S = 0.3
"""Within which the second half of an answer comes."""
HEARD = 1024
"""Instances that are kept in mind; only a flood gets there."""
LOOKUPS = 8
"""Instances looked up at once."""
LINE = 8192
END_S = 2.0

# 12:00:00.123  Add        3  12 local.               _ssh._tcp.           Jane's Mac Studio
_COMES = re.compile(
    r"\s*[\d:.]+\s+(Add|Rmv)\s+[0-9A-Fa-f]+\s+(\d+)\s+local\.\s+(_[\w-]+\._(?:tcp|udp))\.\s+(.+)"
)
# 12:00:00.345  mini._ssh._tcp.local. can be reached at mini.local.:22 (interface 12) Flags: 1
_REACHED = re.compile(r".* can be reached at (\S+?):(\d{1,5})(?: \(interface \d+\))?")
_ESCAPE = re.compile(r"\\(\d{3}|.)")


class Change(NamedTuple):
    """An instance is there on an interface, by its number, or is there no longer."""

    there: bool
    interface: str
    service: str
    instance: str


def comes(line: str) -> Change | None:
    """What a line of `dns-sd -B` says; None for its headings."""
    found = _COMES.fullmatch(line)
    return Change(found[1] == "Add", found[2], found[3], found[4]) if found else None


def reached(line: str) -> tuple[str, int] | None:
    """(host, port) of a line of `dns-sd -L`."""
    found = _REACHED.match(line)
    return (_plain(found[1]), int(found[2])) if found and 0 < int(found[2]) < 65536 else None


def entries(line: str) -> dict[bytes, bytes | None]:
    """TXT entries of the line after that one: words, with blanks and other bytes escaped."""
    txt: dict[bytes, bytes | None] = {}
    for word in re.findall(r"(?:\\.|\S)+", line):
        key, sign, value = _plain(word).partition("=")
        txt.setdefault(key.encode(errors="replace"), value.encode(errors="replace") if sign else None)
    return txt


def _plain(text: str) -> str:
    r"""Without the escapes of a DNS name: `\032` is a blank, `\.` a dot."""
    data = bytearray()
    rest = 0
    for escape in _ESCAPE.finditer(text):
        data += text[rest : escape.start()].encode(errors="replace")
        told = escape[1]
        data += bytes([int(told)]) if told.isdecimal() and int(told) < 256 else told.encode(errors="replace")
        rest = escape.end()
    return (data + text[rest:].encode(errors="replace")).decode(errors="replace")


class DnsSd:
    """Puts what `dns-sd` hears on the board. That the tool fails is said, once."""

    def __init__(self, board: Board, publish: Callable[[AnyEvent], None], program: str = PROGRAM) -> None:
        self._board = board
        self._publish = publish
        self._program = program
        self._said = False
        self._browsing: list[asyncio.Task[None]] = []
        self._lookups: dict[str, asyncio.Task[None]] = {}
        self._heard_on: dict[str, set[str]] = {}
        """Interfaces by instance."""
        self._room = asyncio.Semaphore(LOOKUPS)

    def start(self) -> None:
        """Browse for each service."""
        self._browsing = [asyncio.create_task(self._browse(service)) for service in SERVICES]

    async def close(self) -> None:
        """End every child."""
        tasks = [*self._browsing, *self._lookups.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _browse(self, service: str) -> None:
        last = ""
        try:
            async with _lines(self._program, "-B", service, "local.") as lines:
                async for line in lines:
                    last = clean_line(line) or last
                    if (change := comes(line)) is not None:
                        self._take(change)
            self._fail(f"{self._program} ended: {last or 'it said nothing'}")
        except OSError as error:
            self._fail(f"{self._program} cannot be started: {error.strerror or error}")

    def _fail(self, text: str) -> None:
        if not self._said:
            self._said = True
            text = f"{text}; only exo-tui's own listening goes on"
            self._publish(Alert(t=time.time(), level="warning", subject="discovery", text=clean_line(text)))

    def _take(self, change: Change) -> None:
        name = f"{change.instance}.{change.service}.local."
        heard_on = self._heard_on.get(name, set())
        if not change.there:
            heard_on.discard(change.interface)
            if not heard_on:
                self._drop(name)
        elif not heard_on and (self._board.full or len(self._heard_on) == HEARD):
            self._board.flooded()
        else:
            self._heard_on[name] = heard_on | {change.interface}
            if name not in self._lookups and self._board.key(f"dns-sd {name}") is None:
                task = asyncio.create_task(self._look_up(change.service, change.instance, name))
                self._lookups[name] = task
                task.add_done_callback(lambda done: self._forget(name, done))

    def _drop(self, name: str) -> None:
        self._heard_on.pop(name, None)
        if (lookup := self._lookups.pop(name, None)) is not None:
            lookup.cancel()
        self._board.remove(f"dns-sd {name}")

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._lookups.get(name) is task:
            del self._lookups[name]

    async def _look_up(self, service: str, instance: str, name: str) -> None:
        # Cancelled or not answered: the instance stays unknown until it is announced again.
        with contextlib.suppress(TimeoutError, OSError):
            async with self._room, asyncio.timeout(LOOKUP_S):
                found = await self._found(service, instance, name)
                if found is not None:
                    self._board.put(found)

    async def _found(self, service: str, instance: str, name: str) -> Advert | None:
        async with _lines(self._program, "-L", instance, service, "local.") as lines:
            async for line in lines:
                if (place := reached(line)) is not None:
                    txt = entries(await _txt(lines))
                    host, port = place
                    return advert(
                        name, f"{service}.local.", host, port, await _addresses(host), txt, "dns-sd"
                    )
        return None


async def _txt(lines: AsyncIterator[str]) -> str:
    """The line of entries, where there are any; another interface's answer is none."""
    line = ""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TXT_S):
            line = await anext(lines, "")
    return line if line.startswith(" ") and reached(line) is None else ""


async def _addresses(host: str) -> list[str]:
    """What the system says of a name; nothing where it does not know it."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host.removesuffix("."), None, type=socket.SOCK_STREAM
        )
    except OSError:
        return []
    return [str(address[0]) for *_, address in found]


@contextlib.asynccontextmanager
async def _lines(*argv: str) -> AsyncGenerator[AsyncIterator[str]]:
    """What a child prints, line by line; it is ended with the context."""
    quiet = asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(
        *argv, stdin=quiet, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=LINE
    )
    assert child.stdout is not None
    stream = child.stdout

    async def read() -> AsyncIterator[str]:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than LINE: nothing of ours
                continue
            if not line:
                return
            yield line.decode(errors="replace").rstrip("\r\n")

    try:
        yield read()
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        try:
            async with asyncio.timeout(END_S):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()

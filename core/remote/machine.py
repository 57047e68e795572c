"""A place where processes can be started: this computer, or one reached over SSH."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from core.events import Check
from core.remote.files import Files

LOOPBACK = "127.0.0.1"
LONGEST_LINE = 2**20
"""Bytes of one line a device may send, as for a file that a model has a tool write; what is longer is dropped
whole."""

_CHUNK = 2**16


class Exit(msgspec.Struct, frozen=True):
    """How a process ended. Both are None when the connection to it was lost."""

    code: int | None
    signal: str | None = None


class Process(Protocol):
    """A process with its three streams. Closing its standard input is how it is asked to end."""

    def write(self, data: bytes) -> None:
        """Queue bytes for its standard input; silently too late when it is gone."""
        ...

    def lines(self) -> AsyncIterator[bytes]:
        """Lines of standard output, without their ends."""
        ...

    def errors(self) -> AsyncIterator[bytes]:
        """Lines of standard error, without their ends."""
        ...

    def end(self) -> None:
        """Close its standard input."""
        ...

    def kill(self) -> None:
        """SIGKILL it."""
        ...

    async def wait(self) -> Exit: ...


class Stream(Protocol):
    """A connection."""

    async def read(self, size: int) -> bytes:
        """Up to so many bytes; none at its end, and when it was lost."""
        ...

    async def write(self, data: bytes) -> None:
        """Return when more can be taken. Raises OSError."""
        ...

    def close(self) -> None:
        """At both ends."""
        ...


class Port(Protocol):
    """A port of a machine's loopback on which this console takes connections."""

    @property
    def number(self) -> int: ...

    def close(self) -> None:
        """Nobody else may call."""
        ...


Taken = Callable[[Stream], Awaitable[None]]
"""What is done with a connection."""


class Machine(Protocol):
    """Where a device's processes run."""

    @property
    def address(self) -> str:
        """The address under which this console reaches the machine."""
        ...

    @property
    def local_address(self) -> str:
        """The address under which the machine reaches this console's computer."""
        ...

    @property
    def python(self) -> str:
        """The interpreter that the device's configuration names."""
        ...

    @property
    def entry(self) -> tuple[Check, ...]:
        """The steps by which it was entered; none for this computer."""
        ...

    @property
    def work(self) -> str:
        """The folder there that is ours to write in: absolute, or from the user's home."""
        ...

    @property
    def models(self) -> str:
        """A folder there where models lie, if the device has one."""
        ...

    def seen_from(self, other: Machine) -> str:
        """The address under which another machine reaches this one."""
        ...

    async def start(self, argv: Sequence[str], folder: str | None = None) -> Process:
        """Start a program, in `folder` when given. Raises OSError."""
        ...

    async def ship(self, files: Mapping[str, bytes], package: str) -> str:
        """Put a package's files into a folder named by their content; returns the folder. Raises OSError."""
        ...

    async def has(self, path: str) -> bool:
        """Whether a file or folder exists there. Raises OSError."""
        ...

    def files(self) -> AbstractAsyncContextManager[Files]:
        """Its files, to write there. Raises OSError where that is not possible."""
        ...

    async def call(self, port: int) -> Stream:
        """A connection to a port of its loopback. Raises OSError."""
        ...

    async def listen(self, taken: Taken) -> Port:
        """Have whoever connects to a port of its loopback `taken`. Raises OSError."""
        ...

    async def gone(self) -> str:
        """Wait until the machine cannot be reached any more; returns the reason."""
        ...

    async def close(self) -> None: ...


def content_name(files: Mapping[str, bytes]) -> str:
    """A folder name that changes with any name or byte of `files`."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
    return digest.hexdigest()[:16]


async def split_lines(read: Callable[[int], Awaitable[bytes]]) -> AsyncIterator[bytes]:
    """The lines of a stream; one longer than `LONGEST_LINE` is left out."""
    begun, size = bytearray(), 0
    while chunk := await read(_CHUNK):
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            if size + len(end) <= LONGEST_LINE:
                yield bytes(begun + end)
            begun, size = bytearray(), 0
        size += len(rest)
        if size <= LONGEST_LINE:
            begun += rest
    if begun and size <= LONGEST_LINE:
        yield bytes(begun)

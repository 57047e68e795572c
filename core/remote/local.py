"""This computer as a machine: its processes, files and ports."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from core.events import Check
from core.remote.files import Files
from core.remote.machine import LOOPBACK, Exit, Machine, Taken, content_name, split_lines


class LocalProcess:
    """A child of this process, in a process group of its own."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    def write(self, data: bytes) -> None:
        stdin = self._child.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(data)

    def lines(self) -> AsyncIterator[bytes]:
        assert self._child.stdout is not None
        return split_lines(self._child.stdout.read)

    def errors(self) -> AsyncIterator[bytes]:
        assert self._child.stderr is not None
        return split_lines(self._child.stderr.read)

    def end(self) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()

    def kill(self) -> None:
        if self._child.returncode is None:
            self._child.kill()

    async def wait(self) -> Exit:
        code = await self._child.wait()
        return Exit(None, signal.Signals(-code).name) if code < 0 else Exit(code)


class LocalStream:
    """A connection on this computer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, size: int) -> bytes:
        try:
            return await self._reader.read(size)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


class LocalPort:
    """A port of this computer."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        self.number: int = server.sockets[0].getsockname()[1]

    def close(self) -> None:
        self._server.close()


class LocalMachine:
    """This computer."""

    def __init__(self, python: str, cache: Path, address: str = "127.0.0.1") -> None:
        self.python = python
        self.address = self.local_address = address
        self.work, self.models = str(cache), ""
        self.entry: tuple[Check, ...] = ()
        self._cache = cache

    def seen_from(self, other: Machine) -> str:
        return other.local_address  # no loopback address means anything elsewhere

    async def start(self, argv: Sequence[str], folder: str | None = None) -> LocalProcess:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, start_new_session=True
        )
        return LocalProcess(child)

    async def ship(self, files: Mapping[str, bytes], package: str) -> str:
        folder = self._cache / package / content_name(files)
        target = folder / package
        if not target.is_dir():
            fresh = folder.with_name(f"{folder.name}.{os.getpid()}") / package
            fresh.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (fresh / name).write_bytes(content)
            folder.mkdir(parents=True, exist_ok=True)
            try:
                fresh.rename(target)
            except OSError:  # another console was faster with the same content
                if not target.is_dir():
                    raise
                shutil.rmtree(fresh)
            fresh.parent.rmdir()
        return str(folder)

    async def has(self, path: str) -> bool:
        return Path(path).exists()

    def files(self) -> AbstractAsyncContextManager[Files]:
        raise OSError("files of this computer are used where they lie")

    async def call(self, port: int) -> LocalStream:
        return LocalStream(*await asyncio.open_connection(LOOPBACK, port))

    async def listen(self, taken: Taken) -> LocalPort:
        async def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await taken(LocalStream(reader, writer))

        return LocalPort(await asyncio.start_server(come, LOOPBACK, 0))

    async def gone(self) -> str:
        return await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Nothing to let go of: processes are ended by whoever started them."""

"""A machine at the other end of an SSH connection: its processes, files and ports."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import asyncssh

from core.events import Check
from core.remote.files import SftpFiles
from core.remote.machine import LOOPBACK, Exit, Machine, Taken, content_name, split_lines
from core.remote.target import Target
from core.text import clean_line


class SshProcess:
    """A process at the other end of an SSH channel."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the channel closed meanwhile; wait() tells
            self._process.stdin.write(data)

    def lines(self) -> AsyncIterator[bytes]:
        return split_lines(lambda size: _read(self._process.stdout, size))

    def errors(self) -> AsyncIterator[bytes]:
        return split_lines(lambda size: _read(self._process.stderr, size))

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._process.stdin.write_eof()

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._process.kill()

    async def wait(self) -> Exit:
        await self._process.wait()
        if self._process.exit_signal:
            return Exit(None, clean_line(f"SIG{self._process.exit_signal[0]}", 16))
        return Exit(self._process.exit_status)


def quoted(word: str) -> str:
    """A word as a shell takes it; the `~/` of an interpreter's path is left for that shell to expand."""
    return f"~/{shlex.quote(word[2:])}" if word.startswith("~/") else shlex.quote(word)


async def _read(stream: asyncssh.SSHReader[bytes], size: int) -> bytes:
    """What comes next; nothing at the end, and when the connection is lost, which `wait` tells."""
    try:
        return await stream.read(size)
    except (asyncssh.Error, OSError):  # a reset comes as the socket's own error
        return b""


_Ends = tuple[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]]


class SshStream:
    """A connection at a machine's loopback."""

    def __init__(self, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, size: int) -> bytes:
        return await _read(self._reader, size)

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except asyncssh.Error as error:
            raise OSError(clean_line(error.reason)) from None

    def close(self) -> None:
        self._writer.close()


class SshPort:
    """A port there that leads here."""

    def __init__(self, listener: asyncssh.SSHListener) -> None:
        self._listener = listener
        self.number: int = listener.get_port()

    def close(self) -> None:
        self._listener.close()


class SshMachine:
    """A machine at the other end of an SSH connection."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, lost: asyncio.Future[str], target: Target
    ) -> None:
        """`lost` tells why the connection ended."""
        self._connection = connection
        self._lost = lost
        self.python = target.python
        # Relative to the home of the user, where both SFTP and commands start.
        self.work = target.work.removeprefix("~/").rstrip("/")
        self.models = target.models.removeprefix("~/").rstrip("/")
        self.address: str = connection.get_extra_info("peername")[0]
        self.local_address: str = connection.get_extra_info("sockname")[0]
        user = clean_line(str(connection.get_extra_info("username")))
        self.entry = (
            Check("reach", True, f"{self.address} port {connection.get_extra_info('peername')[1]}"),
            Check("host key", True, "as recorded"),
            Check("login", True, f"as {user}"),
        )

    def seen_from(self, other: Machine) -> str:
        return self.address

    async def start(self, argv: Sequence[str], folder: str | None = None) -> SshProcess:
        command = f"exec {' '.join(map(quoted, argv))}"
        if folder is not None:
            command = f"cd {shlex.quote(folder)} && {command}"
        try:
            return SshProcess(await self._connection.create_process(command, encoding=None))
        except asyncssh.Error as error:
            raise OSError(clean_line(f"{self.address}: {error.reason}")) from None

    async def ship(self, files: Mapping[str, bytes], package: str) -> str:
        folder = f"{self.work}/{package}/{content_name(files)}"
        target = f"{folder}/{package}"
        try:
            async with self._connection.start_sftp_client() as sftp:
                if not await sftp.isdir(target):
                    fresh = f"{folder}.{id(self):x}/{package}"
                    await sftp.makedirs(fresh, exist_ok=True)
                    await sftp.makedirs(folder, exist_ok=True)
                    for name, content in files.items():
                        async with sftp.open(f"{fresh}/{name}", "wb") as file:
                            await file.write(content)
                    try:
                        await sftp.rename(fresh, target)
                    except asyncssh.SFTPError:  # another console was faster with the same content
                        if not await sftp.isdir(target):
                            raise
                        await sftp.rmtree(fresh)  # pyright: ignore[reportUnknownMemberType]
                    await sftp.rmdir(str(Path(fresh).parent))
        except asyncssh.Error as error:
            raise OSError(clean_line(f"{self.address}: cannot copy {package}: {error.reason}")) from None
        return folder

    async def has(self, path: str) -> bool:
        try:
            done = await self._connection.run(f"test -e {shlex.quote(path)}")
        except asyncssh.Error as error:
            raise OSError(clean_line(f"{self.address}: {error.reason}")) from None
        if done.exit_status is None:
            raise OSError(f"{self.address}: the connection was lost")
        return done.exit_status == 0

    @contextlib.asynccontextmanager
    async def files(self) -> AsyncGenerator[SftpFiles]:
        try:
            async with self._connection.start_sftp_client() as sftp:
                yield SftpFiles(sftp)
        except asyncssh.Error as error:
            raise OSError(clean_line(f"{self.address}: {error.reason}")) from None

    async def call(self, port: int) -> SshStream:
        opened = cast(
            "Awaitable[_Ends]",
            self._connection.open_connection(LOOPBACK, port, encoding=None),  # pyright: ignore[reportUnknownMemberType]
        )
        try:
            return SshStream(*await opened)
        except asyncssh.Error as error:
            raise OSError(clean_line(f"{self.address}: {error.reason}")) from None

    async def listen(self, taken: Taken) -> SshPort:
        async def come(reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
            await taken(SshStream(reader, writer))

        def whoever(_host: str, _port: int) -> Callable[..., Awaitable[None]]:
            return come

        try:
            listener = await self._connection.start_server(whoever, LOOPBACK, 0, encoding=None)
        except asyncssh.Error as error:
            told = f"{self.address}: its SSH server forwards no port (AllowTcpForwarding): {error.reason}"
            raise OSError(clean_line(told)) from None
        return SshPort(listener)

    async def gone(self) -> str:
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        self._connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._connection.wait_closed()
                return
        self._connection.abort()

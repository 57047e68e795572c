"""Reach a machine over SSH, with its key checked, and start processes there."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import asyncssh
import msgspec

from core.events import Check
from core.remote.files import SftpFiles
from core.remote.hostkeys import HostKeyChanged, HostKeys, HostKeyUnknown, is_host_name
from core.remote.machine import LOOPBACK, Exit, Machine, Taken, content_name, split_lines
from core.text import clean_line

CONNECT_S = 5
KEEPALIVE = 1.0
MISSED = 3
"""Keepalives of a second, three missed: a silent peer is given up after four seconds (measured)."""

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")

# Without those that rest on SHA-1, which asyncssh would still take.
KEY_EXCHANGES = (
    "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp521", "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp256", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
)  # fmt: skip
SIGNATURES = (
    "ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp256", "sk-ecdsa-sha2-nistp256@openssh.com", "rsa-sha2-512", "rsa-sha2-256",
)  # fmt: skip


WORK = "~/.cache/exo-tui"
"""Where we write on a device, unless it is told otherwise."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a machine. What is None is left to the user's ssh_config and agent."""

    host: str
    addresses: tuple[str, ...] = ()
    """Where the network says that it is, for a host that nothing else knows. Its key is that of `host`."""
    port: int | None = None
    user: str | None = None
    key: Path | None = None
    python: str = "python3"
    work: str = WORK
    models: str = ""
    ssh_config: bool = True
    """Read the user's ~/.ssh/config; a rehearsal does not."""


class Unreachable(Exception):
    """The machine could not be reached or let nobody in; the text is one line for a person.

    `step` is where it ended: "reach", "host key" or "login".
    """

    def __init__(self, text: str, step: str = "reach", remedy: str = "") -> None:
        super().__init__(text)
        self.step = step
        self.remedy = remedy


async def connect(target: Target, keys: HostKeys) -> SshMachine:
    """Connect and authenticate.

    Raises HostKeyUnknown when the user must be asked, HostKeyChanged when the key is not the one on
    record, Unreachable for everything else.
    """
    if not is_host_name(target.host):  # before a `Match exec` of the user's gives it to a shell
        raise Unreachable(clean_line(f"{target.host!r} is not a host name"))
    client = _Client()
    known = keys.load()
    options: dict[str, object] = {
        "known_hosts": known,
        "client_factory": lambda: client,
        "connect_timeout": CONNECT_S,
        "login_timeout": 10,
        "keepalive_interval": KEEPALIVE,
        "keepalive_count_max": MISSED,
        "encryption_algs": CIPHERS,
        "kex_algs": KEY_EXCHANGES,
        "signature_algs": SIGNATURES,
        "agent_forwarding": False,
    }
    if target.port is not None:
        options["port"] = target.port
    if target.user is not None:
        options["username"] = target.user
    if target.key is not None:
        options["client_keys"] = [str(target.key)]
        options["agent_path"] = None
    if not target.ssh_config:
        options["config"] = None
    try:
        try:
            connection = await asyncssh.connect(target.host, **options)  # pyright: ignore[reportArgumentType]
        except socket.gaierror:
            if not target.addresses:
                raise
            options["sock"] = await _announced(target)
            connection = await asyncssh.connect(target.host, **options)  # pyright: ignore[reportArgumentType]
    except asyncssh.HostKeyNotVerifiable as error:
        raise _host_key_trouble(target, client, keys, error) from None
    except (OSError, asyncssh.Error, ValueError) as error:
        raise _trouble(target, error) from None
    return SshMachine(connection, client, target)


async def _announced(target: Target) -> socket.socket:
    """Connected to the first of its announced addresses that takes it. Raises OSError of the last one."""
    loop, trouble = asyncio.get_running_loop(), OSError("no address is announced")
    for address in target.addresses:
        try:
            async with asyncio.timeout(CONNECT_S):
                where = await loop.getaddrinfo(address, target.port or 22, type=socket.SOCK_STREAM)
                family, kind, protocol, _, place = where[0]
                channel = socket.socket(family, kind, protocol)
                try:
                    channel.setblocking(False)
                    await loop.sock_connect(channel, place)
                except BaseException:
                    channel.close()
                    raise
                return channel
        except OSError as error:  # TimeoutError is one
            trouble = error
    raise trouble


class _Client(asyncssh.SSHClient):
    """Remembers the key that nothing on record matched, and why the connection ended."""

    def __init__(self) -> None:
        self.offered: tuple[str, str, int, asyncssh.SSHKey] | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        # Also called for a changed key: saying yes here would accept that too.
        self.offered = (host, addr, port, key)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(clean_line(str(exc)) if exc else "the connection was closed")


def _host_key_trouble(
    target: Target, client: _Client, keys: HostKeys, error: asyncssh.HostKeyNotVerifiable
) -> Exception:
    if client.offered is None:
        return Unreachable(clean_line(f"{target.host}: {error.reason}"), "host key")
    host, address, port, key = client.offered
    old = keys.recorded(host, address, port)
    if not old:
        if not is_host_name(host):  # ssh_config can have given it another one
            return Unreachable(clean_line(f"{host!r} is not a host name"), "host key")
        return HostKeyUnknown(host, port, key)
    fingerprints = ", ".join(dict.fromkeys(one for some in old.values() for one in some))
    return HostKeyChanged(
        f"{host} shows another host key than the one on record: {key.get_fingerprint()}, recorded "
        f"{fingerprints}; if you know why it changed, remove its line from {' and '.join(map(str, old))}"
    )


def _trouble(target: Target, error: Exception) -> Unreachable:
    where = f"{target.host}:{target.port or 22}"
    match error:
        case ConnectionRefusedError():
            remedy = "System Settings → General → Sharing → Remote Login, or start sshd there"
            return Unreachable(f"{where} refuses SSH connections; is Remote Login on?", remedy=remedy)
        case TimeoutError():
            return Unreachable(f"{where} does not answer", remedy="is it awake, and in this network?")
        case socket.gaierror():
            remedy = "give its address as `host` in config.toml, or as HostName in ~/.ssh/config"
            return Unreachable(f"{target.host} is not a known name", remedy=remedy)
        case asyncssh.PermissionDenied():
            told = f"{where} accepts none of your keys for this user"
            return Unreachable(
                told, "login", f"ssh-copy-id {target.host}, or name user and key in config.toml"
            )
        case asyncssh.KeyExchangeFailed():
            told = f"{where} speaks no algorithm that is still safe"
            return Unreachable(told, "host key", "update the SSH server there")
        case _:
            return Unreachable(clean_line(f"{where}: {error}"))


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

    def __init__(self, connection: asyncssh.SSHClientConnection, client: _Client, target: Target) -> None:
        self._connection = connection
        self._client = client
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
        return await asyncio.shield(self._client.lost)

    async def close(self) -> None:
        self._connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._connection.wait_closed()
                return
        self._connection.abort()

"""One rehearsed device: a real SSH server on loopback with a folder, a memory budget and an announcement.

Run as `python -m core.rehearsal.device`. The first line of standard input is its `Role`; it answers
`{"port": n}` and then takes orders. When standard input ends, by order or because the console died,
everything the device started is killed and its folder removed, and with it that of the rehearsal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

import asyncssh
import msgspec

from core.peers.announce import Announcement
from core.rehearsal.tree import anonymous_memory, descendants
from core.remote.machine import split_lines
from core.text import size


class Role(msgspec.Struct, frozen=True):
    """What a rehearsed device is. `budget` in bytes."""

    name: str
    scope: str
    folder: str
    shared: str
    """The folder of the whole rehearsal, with the keys: not to outlive a console that was killed."""
    budget: int
    host_key: str
    user_keys: str


class Order(msgspec.Struct, frozen=True):
    """`cut` drops every SSH connection and refuses new ones until `mend`; `starve` kills the largest process,
    as the kernel does when memory is out."""

    op: str


class Device:
    """The SSH server and what runs below it."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._server: asyncssh.SSHAcceptor | None = None
        self._announcement: Announcement | None = None
        self._port = 0
        # Ranks here share the cores: threads of each on all of them would stand in one another's way.
        self._environment = (
            {"OPENBLAS_NUM_THREADS": "1"}
            | os.environ
            | {
                "HOME": role.folder,
                "TMPDIR": role.folder,
                "EXO_TUI_REHEARSAL": f"{role.budget}:{os.getpid()}:{role.folder}",
            }
        )

    async def open(self) -> int:
        """Listen and announce; returns the port."""
        await self._listen()
        self._announcement = Announcement(
            self._role.name,
            self._port,
            ["127.0.0.1"],
            {"rehearsal": self._role.scope, "memory": str(self._role.budget)},
            interfaces=["127.0.0.1"],
        )
        try:
            await self._announcement.start()
        except OSError as error:
            raise OSError(f"cannot announce by multicast DNS on UDP port 5353: {error.strerror}") from error
        return self._port

    async def _listen(self) -> None:
        device = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                self._connection = conn
                device._connections.add(conn)

            def connection_lost(self, exc: Exception | None) -> None:
                device._connections.discard(self._connection)

            def connection_requested(
                self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
            ) -> bool:
                return dest_host == "127.0.0.1"  # as sshd does, which would forward anywhere

            def server_requested(self, listen_host: str, listen_port: int) -> bool:
                return listen_host == "127.0.0.1"

        self._server = await asyncssh.create_server(
            Server,
            "127.0.0.1",
            self._port,
            server_host_keys=[self._role.host_key],
            authorized_client_keys=self._role.user_keys,
            process_factory=self._session,
            sftp_factory=True,
            encoding=None,
            reuse_address=True,
        )
        self._port = self._server.get_port()

    async def _session(self, channel: asyncssh.SSHServerProcess[bytes]) -> None:
        """One command. As sshd without a pty: a lost connection closes its standard input, no more."""
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", channel.command or "true", stdin=pipe, stdout=pipe, stderr=pipe,
            cwd=self._role.folder, env=self._environment, start_new_session=True,
        )  # fmt: skip
        assert child.stdin and child.stdout and child.stderr
        feeding = asyncio.create_task(_feed(channel, child))
        await asyncio.gather(_pump(child.stdout, channel.stdout), _pump(child.stderr, channel.stderr))
        code = await child.wait()
        feeding.cancel()
        with contextlib.suppress(asyncssh.Error, OSError):
            if code < 0:
                channel.exit_with_signal(signal.Signals(-code).name[3:])
            else:
                channel.exit(code)

    async def obey(self, order: Order) -> None:
        match order.op:
            case "cut" if self._server is not None:
                self._server.close()
                self._server = None
                for connection in tuple(self._connections):
                    connection.abort()
            case "mend" if self._server is None:
                await self._listen()
            case "starve":
                await self._kill_largest("out of memory, by order")
            case _:
                print(f"{self._role.name}: nothing to do for {order.op!r}", file=sys.stderr)

    async def watch_budget(self) -> None:
        """Kill the largest process when the device is over its budget, as a kernel out of memory would."""
        while True:
            await asyncio.sleep(0.5)
            memory = await asyncio.to_thread(anonymous_memory, os.getpid())
            if sum(memory.values()) > self._role.budget:
                await self._kill_largest(f"over its budget of {size(self._role.budget)}")

    async def _kill_largest(self, why: str) -> None:
        memory = await asyncio.to_thread(anonymous_memory, os.getpid())
        if below := {pid: used for pid, used in memory.items() if pid != os.getpid()}:
            largest = max(below, key=lambda pid: below[pid])
            print(f"{self._role.name}: {why}, killing {largest}", file=sys.stderr)
            with contextlib.suppress(ProcessLookupError):
                os.kill(largest, signal.SIGKILL)

    async def close(self) -> None:
        """Kill what runs here, take the announcement back, remove the folder."""
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._announcement is not None:
            await self._announcement.close()
        if self._server is not None:
            self._server.close()
        shutil.rmtree(self._role.folder, ignore_errors=True)


async def _feed(channel: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> None:
    """Standard input and signals from the channel to the process, by hand: redirecting passes no signals."""
    assert child.stdin is not None
    while True:
        try:
            data = await channel.stdin.read(2**16)
        except asyncssh.SignalReceived as received:
            with contextlib.suppress(ProcessLookupError, AttributeError):
                os.killpg(child.pid, getattr(signal, f"SIG{received.signal}"))
            continue
        except (asyncssh.Error, OSError):
            data = b""
        if not data:
            child.stdin.close()
            return
        with contextlib.suppress(OSError):
            child.stdin.write(data)
            await child.stdin.drain()


async def _pump(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    """Output to the channel; goes on reading when the channel is gone, so that the process never blocks."""
    while data := await source.read(2**16):
        with contextlib.suppress(asyncssh.Error, OSError):
            sink.write(data)
            await sink.drain()


async def main() -> None:
    """Be one device until standard input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    role = msgspec.json.decode(await reader.readline(), type=Role)
    Path(role.folder).mkdir()
    os.chdir(role.folder)  # where SFTP and sessions start
    device = Device(role)
    watching = asyncio.create_task(device.watch_budget())
    try:
        try:
            port = await device.open()
        except OSError as error:
            sys.exit(str(error))
        print(msgspec.json.encode({"port": port}).decode(), flush=True)
        async for line in split_lines(reader.read):
            await device.obey(msgspec.json.decode(line, type=Order))
            print("{}", flush=True)
    finally:
        watching.cancel()
        await device.close()
    # Only when the rehearsal is over: a device that failed leaves the others alone, and its log.
    shutil.rmtree(role.shared, ignore_errors=True)


if __name__ == "__main__":
    # The console decides when a device ends; a ctrl+c in its terminal is not meant for us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main())

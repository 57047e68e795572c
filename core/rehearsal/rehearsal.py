"""A real cluster on one machine: devices on loopback that are reached, measured and broken like any other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import asyncssh
import msgspec

from core.rehearsal.device import Role
from core.rehearsal.tree import descendants
from core.remote.hostkeys import HostKeys
from core.remote.target import Target
from core.text import clean_line

BUDGETS = (2.0, 1.5, 1.0)
"""GiB of memory of the devices, in turn: unlike, as people's devices are."""


class RehearsalError(Exception):
    """A device of the rehearsal did not come up."""


class _Member(msgspec.Struct):
    name: str
    folder: Path
    child: asyncio.subprocess.Process
    port: int = 0
    """Where it listens, once it is up."""


def _new_key(path: Path) -> asyncssh.SSHKey:
    """A key pair in `path` and `path.pub`."""
    key = asyncssh.generate_private_key("ssh-ed25519")  # pyright: ignore[reportUnknownMemberType]
    key.write_private_key(path)  # pyright: ignore[reportUnknownMemberType]
    key.write_public_key(path.with_name(f"{path.name}.pub"))  # pyright: ignore[reportUnknownMemberType]
    return key


class Rehearsal:
    """So many devices, from `start` to `close`. Only a console that knows `scope` sees them."""

    def __init__(self, devices: int, budgets: Sequence[float] = BUDGETS) -> None:
        if not 1 <= devices <= 16:
            raise RehearsalError(f"a rehearsal has 1 to 16 devices, not {devices}")
        self._count = devices
        self._budgets = budgets
        self.scope = secrets.token_hex(6)
        self._folder = Path(tempfile.mkdtemp(prefix=f"exo-tui-{self.scope}-"))
        self.keys = HostKeys(self._folder / "known_hosts")
        self._members: dict[str, _Member] = {}

    async def start(self) -> None:
        """Bring every device up. Raises RehearsalError."""
        _new_key(self._folder / "user_key")
        names = [f"demo-{chr(ord('a') + i)}" for i in range(self._count)]
        try:
            raising = (self._raise(name, i) for i, name in enumerate(names))
            for failure in await asyncio.gather(*raising, return_exceptions=True):
                if failure is not None:
                    raise failure
        except (OSError, RehearsalError) as error:
            await self.close()
            raise RehearsalError(f"the rehearsal did not start: {error}") from None

    async def _raise(self, name: str, index: int) -> None:
        key_path = self._folder / f"{name}.key"
        key = _new_key(key_path)
        role = Role(
            name=name,
            scope=self.scope,
            folder=str(self._folder / name),
            shared=str(self._folder),
            budget=int(self._budgets[index % len(self._budgets)] * 2**30),
            host_key=str(key_path),
            user_keys=str(self._folder / "user_key.pub"),
        )
        pipe = asyncio.subprocess.PIPE
        log = (self._folder / f"{name}.log").open("wb")
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "core.rehearsal.device", stdin=pipe, stdout=pipe, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        log.close()
        # From here on `close` ends it, however far it has come.
        member = self._members[name] = _Member(name, self._folder / name, child)
        assert child.stdin and child.stdout
        child.stdin.write(msgspec.json.encode(role) + b"\n")
        line = await child.stdout.readline()
        if not line:
            *_, last = ["it said nothing", *(self._folder / f"{name}.log").read_text().splitlines()]
            raise RehearsalError(f"{name}: {clean_line(last)}")
        member.port = msgspec.json.decode(line, type=dict[str, int])["port"]
        self.keys.pin("127.0.0.1", member.port, key)

    def target(self, port: int) -> Target:
        """How to reach the device that announced `port`."""
        return Target(
            host="127.0.0.1",
            port=port,
            user="rehearsal",
            key=self._folder / "user_key",
            python=sys.executable,
            ssh_config=False,
        )

    @property
    def ports(self) -> dict[str, int]:
        """SSH port by device name."""
        return {member.name: member.port for member in self._members.values()}

    def signal(self, pid: int, name: str) -> None:
        """Send a signal such as `SIGKILL` or `SIGSTOP` to a rank of this rehearsal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.Signals[name])

    async def cut(self, device: str) -> None:
        """Drop the device's SSH connections and refuse new ones."""
        await self._order(device, "cut")

    async def mend(self, device: str) -> None:
        """Let SSH connections in again."""
        await self._order(device, "mend")

    async def starve(self, device: str) -> None:
        """Let the device's largest process be killed, as where memory is out."""
        await self._order(device, "starve")

    def processes(self, device: str) -> list[int]:
        """Pids of the device's server and of all that runs below it."""
        root = self._members[device].child.pid
        return [root, *descendants(root)]

    def delay(self, device: str, milliseconds: float) -> None:
        """Make the device send so much later whatever it sends in probes, answers or not; 0 ends it."""
        path = self._members[device].folder / "echo-delay"
        if milliseconds:
            path.write_text(str(milliseconds))
        else:
            path.unlink(missing_ok=True)

    async def _order(self, device: str, op: str) -> None:
        child = self._members[device].child
        assert child.stdin and child.stdout
        child.stdin.write(msgspec.json.encode({"op": op}) + b"\n")
        await child.stdout.readline()

    async def close(self) -> None:
        """End every device and all that runs on it, and remove the folder."""
        children = [member.child for member in self._members.values()]
        for child in children:
            if child.stdin is not None:
                child.stdin.close()
        for child in children:
            try:
                async with asyncio.timeout(5):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()
        self._members.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

"""What can be broken on a device, in the lab and in a rehearsal, and how it is mended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import msgspec
import psutil

from core.cluster import Cluster
from core.rehearsal.rehearsal import Rehearsal
from core.remote.target import Target
from core.state import ClusterState
from tests.lab.cluster import ours
from tests.lab.host import UID, Host
from tests.lab.vlab import Lab

LIMIT = 180.0
VICTIM = "h2"
PROMPT = "Tell me all about it, from the beginning. " * 24
LEASE_S = 10.0
MEMORY = Path("/sys/fs/cgroup/memory")
"""Cgroup v1's memory controller: its kernel kills in earnest."""
HOG = """
import os, sys
open("/proc/self/oom_score_adj", "w").write("-1000")
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
held = bytearray(48 << 20)
"""
"""Another program that takes more than is left, and is not the one the kernel picks."""


class Bench:
    """A cluster, live or rehearsed, of which one device is the victim."""

    victim: str
    faults: dict[str, Callable[[], object]]

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.bus = cluster.bus

    def prepare(self, fault: str) -> None:
        """Do what has to be done before anything is launched."""

    def mend(self) -> None:
        """Undo what can be undone."""

    async def left(self) -> str:
        """What still runs on the devices, when the cluster was closed and leases have ended."""
        raise NotImplementedError

    async def until(
        self, so: Callable[[ClusterState], object], what: str, limit: float = LIMIT
    ) -> ClusterState:
        try:
            async with asyncio.timeout(limit):
                return await self.bus.until(lambda state: bool(so(state)))
        except TimeoutError:
            told = [f"{a.subject}: {a.text}" for a in self.bus.state.alerts[-4:]]
            raise RuntimeError(f"not within {limit:.0f} s: {what} {told}") from None

    def ask(self) -> str:
        self.cluster.conversations.new()
        self.cluster.ask(PROMPT)
        return self.bus.state.conversations[self.bus.state.conversation][-1]

    async def answer(self, request: str) -> tuple[int, ...]:
        state = await self.until(lambda state: state.requests[request].done, "an answer")
        done = state.requests[request].done
        if done.why == "error":
            raise RuntimeError(f"the answer was lost: {done.detail}")
        return state.requests[request].ids


class InLab(Bench):
    """Hosts with OpenSSH, in network namespaces."""

    victim = VICTIM

    def __init__(self, cluster: Cluster, lab: Lab, python: Path) -> None:
        super().__init__(cluster)
        self.lab, self.host = lab, lab[VICTIM]
        self._cache = self.host.home / ".cache"
        self._mending: list[Callable[[], object]] = []
        self.faults = {
            "SIGKILL": lambda: self._signal(signal.SIGKILL),
            "SIGSTOP": lambda: self._signal(signal.SIGSTOP),
            "power off": lambda: lab.power_off(VICTIM),
            "cable out": self._cable,
            "black hole": self._black_hole,
            "SSH killed": self._ssh,
            "out of memory": self._memory,
            "disk full": self._fill,
            "disk full at the start": self._fill,
            "wrong Python": lambda: wrong(python),
            "wrong Python at the start": lambda: wrong(python),
        }

    def _workers(self) -> list[int]:
        return [pid for pid, line in self.host.ps().items() if "-m worker" in line]

    def _signal(self, number: int) -> None:
        for pid in self._workers():
            os.kill(pid, number)

    def _cable(self) -> None:
        self.lab.unplug(VICTIM)
        self._mending.append(lambda: self.lab.plug(VICTIM))

    def _black_hole(self) -> None:
        self.lab.blackhole(VICTIM)
        self._mending.append(lambda: self.lab.blackhole(VICTIM, on=False))

    def _ssh(self) -> None:
        for pid, line in self.host.ps().items():
            if "sshd:" in line and "listener" not in line:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def prepare(self, fault: str) -> None:
        if fault.startswith("disk full"):
            # A file system of its own for the folder we write to: none other is to be filled.
            self._cache.mkdir(exist_ok=True)
            os.chown(self._cache, UID, UID)
            self.host.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=777", "tmpfs", str(self._cache)])
            self._mending.append(lambda: self.host.run(["umount", "-l", str(self._cache)], check=False))

    def _fill(self) -> None:
        self.host.run(["sh", "-c", f"dd if=/dev/zero of={self._cache}/full bs=1k 2>/dev/null; true"])

    def _memory(self) -> None:
        """The rank in a memory cgroup that has 16 MB to give, of which another program there wants 48."""
        group = MEMORY / f"exo-tui-lab-{os.getpid()}"
        group.mkdir(exist_ok=True)
        for pid in self._workers():
            (group / "cgroup.procs").write_text(str(pid))
        used = int((group / "memory.usage_in_bytes").read_text())
        (group / "memory.limit_in_bytes").write_text(str(used + (16 << 20)))
        hog = subprocess.Popen([sys.executable, "-S", "-c", HOG, str(group)])
        self._mending.append(lambda: _ended(hog, group))

    def mend(self) -> None:
        while self._mending:
            self._mending.pop()()

    async def left(self) -> str:
        loop = asyncio.get_running_loop()
        end = loop.time() + 2 * LEASE_S
        while loop.time() < end:
            found = [line for host in self.lab.machines for line in self._ours(host).values()]
            if not found:
                return ""
            await asyncio.sleep(0.1)
        return ", ".join(line[:40] for line in found)

    @staticmethod
    def _ours(host: Host) -> dict[int, str]:
        return ours(host) if host.pid > 0 and Path(f"/proc/{host.pid}").exists() else {}


def wrong(python: Path) -> None:
    """Replace the victim's Python by one that has no mlx."""
    python.write_text(f'#!/bin/sh\nexec {sys._base_executable} "$@"\n')


def _ended(hog: subprocess.Popen[bytes], group: Path) -> None:
    hog.kill()
    hog.wait(LIMIT)
    with contextlib.suppress(OSError):
        group.rmdir()


class Rehearsed(Rehearsal):
    """A rehearsal whose victim has a Python of its own."""

    python = ""

    def target(self, port: int) -> Target:
        target = super().target(port)
        mine = self.ports.get(InRehearsal.victim) == port
        return msgspec.structs.replace(target, python=self.python) if mine else target


class InRehearsal(Bench):
    """Rehearsed devices on loopback: what is between them cannot be pulled, but a device can fall silent."""

    victim = "demo-b"

    def __init__(self, cluster: Cluster, rehearsal: Rehearsal, python: Path) -> None:
        super().__init__(cluster)
        self.rehearsal = rehearsal
        self._frozen: list[int] = []
        self._tasks: set[asyncio.Future[None]] = set()
        self.faults = {
            "SIGKILL": lambda: cluster.inject("kill", self.victim),
            "SIGSTOP": lambda: cluster.inject("freeze", self.victim),
            "SSH killed": lambda: self._spawn(self._ssh()),
            "cut off": lambda: cluster.inject("cut", self.victim),
            "host frozen": self._freeze,
            "power off": lambda: self._all(signal.SIGKILL),
            "out of memory": lambda: self._spawn(rehearsal.starve(self.victim)),
            "wrong Python": lambda: wrong(python),
            "wrong Python at the start": lambda: wrong(python),
        }

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ssh(self) -> None:
        await self.rehearsal.cut(self.victim)
        await self.rehearsal.mend(self.victim)

    def _all(self, number: int) -> list[int]:
        pids = self.rehearsal.processes(self.victim)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pids

    def _freeze(self) -> None:
        self._frozen = self._all(signal.SIGSTOP)

    def mend(self) -> None:
        for pid in self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._frozen = []
        self.cluster.inject("mend", self.victim)

    async def left(self) -> str:
        here = os.getpid()
        found: list[str] = []
        for process in psutil.process_iter(["cmdline", "ppid"]):
            with contextlib.suppress(psutil.Error):
                if process.pid != here and str(self.rehearsal.scope) in " ".join(process.environ().values()):
                    found.append(" ".join(process.info["cmdline"])[:40])
        return ", ".join(found)

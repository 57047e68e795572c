"""The fault matrix: what breaks in which phase, and what came of it, as one table.

    python -m tests.lab.faults [--only FAULT,...] [--phases PHASE,...] [--random N] [--rehearsal]

Needs root, like the lab (without it, or with --rehearsal, only the rehearsal's faults). Exits 1 when a figure
falls short of what is promised: a killed process is named within a second, all else within five; the culprit
is the right one; the others are freed; the answer goes on, with the tokens of an undisturbed run; nothing is
left running.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from core import events as ev
from core.bus import Bus
from core.cluster import Cluster
from core.config import Config, DeviceEntry, Recover
from core.models.spec import ModelSpec, read
from core.rehearsal.rehearsal import Rehearsal
from core.request import Sampling
from core.state import ClusterState
from core.wish import Wish
from tests import tiny_models
from tests.lab.cluster import Setup, device, ours, workers
from tests.lab.host import UID
from tests.lab.namespaces import why_not
from tests.lab.vlab import Lab

PHASES = ("load", "warmup", "prefill", "decode", "idle")
LIMIT = 90.0
KILLED_S, OTHER_S = 1.0, 5.0
"""What is promised: to name a process that ended, and everything else."""
LEASE_S = 10.0
TOKENS = 48
PROMPT = "Tell me all about it, from the beginning. " * 24
VICTIM = "h2"
MODEL = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 12, "head_dim": 64}
"""Large enough that loading and warming up can be hit."""


class Row(msgspec.Struct):
    """A line of the table."""

    fault: str
    phase: str
    named_s: float | None = None
    limit_s: float = OTHER_S
    said: str = ""
    right: bool = False
    freed: bool = False
    equal: bool = False
    left: str = ""
    problem: str = ""

    @property
    def good(self) -> bool:
        quick = self.named_s is not None and self.named_s <= self.limit_s
        return quick and self.right and self.freed and self.equal and not self.left and not self.problem

    def line(self) -> str:
        seconds = f"{self.named_s:.2f}" if self.named_s is not None else "—"
        marks = " | ".join("yes" if one else "NO" for one in (self.right, self.freed, self.equal))
        end = self.left or "nothing"
        return f"| {self.fault} | {self.phase} | {seconds} | {marks} | {end} |{' ' + self.problem}".rstrip()


HEAD = (
    "| fault | in | named after s | culprit right | others freed | answer went on, equal | left running |\n"
    "|---|---|---|---|---|---|---|"
)


class Bench:
    """A cluster, live or rehearsed, of which one device is the victim."""

    victim: str
    faults: dict[str, Callable[[], object]]

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.bus = cluster.bus

    def mend(self) -> None:
        """Undo what can be undone."""

    def elsewhere(self) -> bool:
        """Whether other devices than the victim still have workers."""
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

    def __init__(self, cluster: Cluster, lab: Lab) -> None:
        super().__init__(cluster)
        self.lab, self.host = lab, lab[VICTIM]
        self._mending: list[Callable[[], object]] = []
        self.faults = {
            "SIGKILL": lambda: self._signal(signal.SIGKILL),
            "SIGSTOP": lambda: self._signal(signal.SIGSTOP),
            "power off": lambda: lab.power_off(VICTIM),
            "cable out": self._cable,
            "black hole": self._black_hole,
            "SSH killed": self._ssh,
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

    def mend(self) -> None:
        while self._mending:
            self._mending.pop()()

    def elsewhere(self) -> bool:
        return any(workers(host) for host in self.lab.machines if host is not self.host)


class InRehearsal(Bench):
    """Rehearsed devices on loopback."""

    victim = "demo-b"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.faults = {
            "SIGKILL": lambda: cluster.inject("kill", self.victim),
            "SIGSTOP": lambda: cluster.inject("freeze", self.victim),
            "cut off": lambda: cluster.inject("cut", self.victim),
        }

    def mend(self) -> None:
        self.cluster.inject("mend", self.victim)

    def elsewhere(self) -> bool:
        from tests.e2e.processes import WORKER, below

        return any("guard.py" in " ".join(one.cmdline()) for one in below(WORKER))


@contextmanager
def _labs() -> Iterator[Lab]:
    lab = Lab(3).up()
    try:
        for host in lab.machines:
            host.sshd()
        for host in lab.machines:
            host.wait_port()
        yield lab
    finally:
        lab.down()


def _model(where: Path) -> ModelSpec:
    tiny_models.CONFIGS["matrix"] = tiny_models.LLAMA | MODEL
    return read(tiny_models.build("matrix", where))


@asynccontextmanager
async def _cluster(
    spec: ModelSpec, folder: Path, lab: Lab | None, *, recover: Recover
) -> AsyncIterator[Bench]:
    config = Config(folder, folder / "cache", local=False, recover=recover)
    rehearsal = None
    wish = Wish(split=(4, 4, 4))
    if lab is None:
        rehearsal = Rehearsal(3)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        config.known_hosts.write_text("".join(host.known_hosts_line() for host in lab.machines))
        entries = [msgspec.convert(device(host), DeviceEntry) for host in lab.machines]
        config = msgspec.structs.replace(config, devices=tuple(entries))
    sampling = Sampling(max_tokens=TOKENS, ignore_eos=True, chunk=32)
    cluster = Cluster(Bus(), config, spec=spec, wish=wish, sampling=sampling, rehearsal=rehearsal)
    try:
        await cluster.start()
        bench = InRehearsal(cluster) if lab is None else InLab(cluster, lab)
        await bench.until(
            lambda state: (
                state.plan is not None and sum(d.status == "ready" for d in state.devices.values()) == 3
            ),
            "a plan over three devices",
        )
        yield bench
    finally:
        async with asyncio.timeout(LIMIT):
            await cluster.close()


def _when(bench: Bench, phase: str, act: Callable[[], None]) -> Callable[[], None]:
    """Do `act` once, when the victim is in the phase; returns what makes it not be done any more."""

    def hear(event: ev.AnyEvent) -> None:
        state = bench.bus.state
        run = state.run
        rank = next((r.rank for r in run.ranks if r.device == bench.victim), -1) if run else -1
        match event:
            case ev.RankPhased() if phase in ("load", "warmup"):
                there = event.rank == rank and event.phase == phase
            case ev.PrefillProgressed():
                there = phase == "prefill" and event.done < event.total
            case ev.TokensStreamed():
                there = phase == "decode" and len(state.requests[event.request].ids) >= 10
            case _:
                there = False
        if there:
            end()
            act()

    unsubscribe = bench.bus.subscribe(hear)
    done = False

    def end() -> None:
        nonlocal done
        if not done:
            done = True
            unsubscribe()

    return end


async def one(bench: Bench, fault: str, phase: str, expected: tuple[int, ...]) -> Row:
    """One fault in one phase."""
    row = Row(fault, phase, limit_s=KILLED_S if fault in ("SIGKILL", "SSH killed") else OTHER_S)
    broken: list[float] = []
    blamed: list[ev.RunBlamed] = []

    def note(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.RunBlamed):
            blamed.append(event)

    unsubscribe = bench.bus.subscribe(note)

    def act() -> None:
        broken.append(time.time())
        bench.faults[fault]()

    try:
        if phase == "idle":
            bench.cluster.launch()
            await bench.until(lambda state: state.run and state.run.live and state.run.ready, "the run")
            act()
            request = None
        else:
            _when(bench, phase, act)
            request = bench.ask()
        await bench.until(lambda _: blamed, "a culprit", 40)
        if not broken:
            raise RuntimeError(f"before anything was broken: {blamed[0].text}")
        row.named_s, row.said = blamed[0].t - broken[0], blamed[0].text
        row.right = blamed[0].device == bench.victim
        first = blamed[0].run
        await bench.until(
            lambda state: state.run and (state.run.id != first or not state.run.live), "its end", 20
        )
        row.freed = True
        if fault != "power off":
            asyncio.get_running_loop().call_later(2.0, bench.mend)
        if request is None:
            await bench.until(
                lambda state: state.run and state.run.live and state.run.ready and not state.recovering,
                "another run",
            )
            request = bench.ask()
        row.equal = await bench.answer(request) == expected
    except RuntimeError as error:
        row.problem = str(error)
    finally:
        unsubscribe()
    return row


async def _left(bench: Bench) -> str:
    """What runs on the devices after the cluster was closed, once it has had its lease."""
    if not isinstance(bench, InLab):
        from tests.e2e.processes import AGENT, SERVER, WORKER, below

        return ", ".join(" ".join(p.cmdline())[:40] for p in below(AGENT, SERVER, WORKER))
    end = time.monotonic() + 2 * LEASE_S
    while time.monotonic() < end:
        left = [line for host in bench.lab.machines for line in _ours(bench, host.name).values()]
        if not left:
            return ""
        await asyncio.sleep(0.1)
    return ", ".join(line[:40] for line in left)


def _ours(bench: InLab, name: str) -> dict[int, str]:
    return (
        ours(bench.lab[name])
        if bench.lab[name].pid > 0 and Path(f"/proc/{bench.lab[name].pid}").exists()
        else {}
    )


async def _network_lost(bench: InLab, phase: str, expected: tuple[int, ...]) -> Row:
    """The console's own cable: no device is to blame."""
    row = Row("console's network", phase)
    blamed: list[ev.RunBlamed] = []
    broken: list[float] = []
    unsubscribe = bench.bus.subscribe(lambda e: blamed.append(e) if isinstance(e, ev.RunBlamed) else None)

    def act() -> None:
        broken.append(time.time())
        bench.lab.unplug("console")

    try:
        _when(bench, phase, act)
        request = bench.ask()
        await bench.until(lambda _: blamed, "a culprit", 40)
        if not broken:
            raise RuntimeError(f"before anything was broken: {blamed[0].text}")
        row.named_s, row.said = blamed[0].t - broken[0], blamed[0].text
        row.right = blamed[0].fault == "console"
        await asyncio.sleep(3)
        bench.lab.plug("console")
        row.equal = await bench.answer(request) == expected
        row.freed = True
    except RuntimeError as error:
        row.problem = str(error)
    finally:
        unsubscribe()
    return row


def _console_gone(lab: Lab, folder: str, number: int, name: str) -> Row:
    """The console itself: nothing it started may outlive its lease."""
    row = Row(name, "decode", limit_s=LEASE_S, right=True, equal=True)
    hosts = [host.name for host in lab.machines]
    setup = Setup(lab, folder, [device(host) for host in lab.machines], pinned=hosts)
    asked = ["--prompt", PROMPT, "--on", ",".join(hosts), "--split", "4,4,4", "--max-tokens", "2000"]
    command = setup.start("run", lab.dir / "model", *asked, "--temp", "1", "--seed", "1")
    try:
        command.first_output()
        begun = time.monotonic()
        command.process.send_signal(number)
        while time.monotonic() - begun < 3 * LEASE_S and any(workers(host) for host in lab.machines):
            time.sleep(0.05)
        row.named_s = time.monotonic() - begun
        row.freed = not any(workers(host) for host in lab.machines)
        end = time.monotonic() + 2 * LEASE_S  # the agent, which holds no model, has a longer lease
        while time.monotonic() < end and any(ours(host) for host in lab.machines):
            time.sleep(0.1)
        row.left = ", ".join(line[:40] for host in lab.machines for line in ours(host).values())
    finally:
        command.process.kill()
        command.process.wait(LIMIT)
    return row


class Matrix:
    """Runs cases and prints each as it is done."""

    def __init__(self, spec: ModelSpec, folder: Path, *, rehearsal: bool) -> None:
        self.spec, self.folder, self.rehearsal = spec, folder, rehearsal
        self.rows: list[Row] = []
        self._cases = 0
        self._lab: contextlib.ExitStack | None = None
        self._hosts: Lab | None = None

    def lab(self) -> Lab | None:
        """The lab, made anew when a host of it is gone for good."""
        if self.rehearsal:
            return None
        if self._hosts is None:
            self._lab = contextlib.ExitStack()
            self._hosts = self._lab.enter_context(_labs())
            shutil.copytree(self.spec.path, self._hosts.dir / "model")
        return self._hosts

    def close(self) -> None:
        if self._lab is not None:
            self._lab.close()
        self._lab = self._hosts = None

    async def _with(self, work: Callable[[Bench], object]) -> Row:
        self._cases += 1
        lab = self.lab()
        spec = self.spec if lab is None else msgspec.structs.replace(self.spec, path=str(lab.dir / "model"))
        how = Recover(wait=0.5, failover=30)
        folder = self.folder / str(self._cases)
        with lab.enter("console") if lab is not None else contextlib.nullcontext():
            async with _cluster(spec, folder, lab, recover=how) as bench:
                result = await work(bench)
            if isinstance(result, Row):
                result.left = await _left(bench)
        return result

    def show(self, row: Row) -> None:
        self.rows.append(row)
        print(row.line(), flush=True)
        if not row.good:
            print(f"  {row.said}", file=sys.stderr, flush=True)

    async def run(self, faults: list[str], phases: list[str], more: int) -> None:
        expected = await self._with(lambda bench: _undisturbed(bench))
        print(HEAD, flush=True)
        for fault in faults:
            if fault in SPECIAL:
                await self._special(fault, phases, expected)
                continue
            for phase in phases:
                self.show(await self._with(lambda b, f=fault, p=phase: one(b, f, p, expected)))
                if fault == "power off":
                    self.close()
        chance = random.Random(7)
        usual = [f for f in faults if f in USUAL or f == "cut off"]
        usual = [f for f in usual if f != "power off"]
        for _ in range(more):
            fault, phase = chance.choice(usual), chance.choice(phases)
            self.show(await self._with(lambda b, f=fault, p=phase: one(b, f, p, expected)))

    async def _special(self, fault: str, phases: list[str], expected: tuple[int, ...]) -> None:
        lab = self.lab()
        if lab is None:
            return
        match fault:
            case "disk full":
                cache = lab[VICTIM].home / ".cache"
                cache.mkdir(exist_ok=True)
                os.chown(cache, UID, UID)
                lab[VICTIM].run(["mount", "-t", "tmpfs", "-o", "size=4k,mode=777", "tmpfs", str(cache)])
                try:
                    self.show(await self._with(lambda b: _from_the_start(b, fault, expected)))
                finally:
                    lab[VICTIM].run(["umount", "-l", str(cache)])
            case "console's network":
                for phase in [phase for phase in phases if phase != "idle"]:
                    self.show(await self._with(lambda b, p=phase: _network_lost(b, p, expected)))
            case _:
                number = signal.SIGKILL if fault == "console SIGKILL" else signal.SIGHUP
                self.show(await asyncio.to_thread(_console_gone, lab, fault.split()[1], number, fault))


USUAL = ("SIGKILL", "SIGSTOP", "power off", "cable out", "black hole", "SSH killed")
SPECIAL = ("disk full", "console's network", "console SIGKILL", "console SIGHUP")


async def _undisturbed(bench: Bench) -> tuple[int, ...]:
    ids = await bench.answer(bench.ask())
    if len(set(ids)) < 5 or len(ids) != TOKENS:
        raise RuntimeError("the answer is too monotonous to prove anything")
    return ids


async def _from_the_start(bench: Bench, fault: str, expected: tuple[int, ...]) -> Row:
    """A device on which no worker can be started: what counts is who is named, and that it goes without."""
    row = Row(fault, "start")
    blamed: list[ev.RunBlamed] = []
    unsubscribe = bench.bus.subscribe(lambda e: blamed.append(e) if isinstance(e, ev.RunBlamed) else None)
    began = time.time()
    try:
        request = bench.ask()
        await bench.until(lambda _: blamed, "a culprit", 40)
        row.named_s, row.said, row.freed = blamed[0].t - began, blamed[0].text, True
        row.right = blamed[0].device == bench.victim
        row.equal = await bench.answer(request) == expected
    except RuntimeError as error:
        row.problem = str(error)
    finally:
        unsubscribe()
    return row


async def main() -> int:
    """Print the table; 1 when something falls short."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", type=lambda text: text.split(","), help="faults, by name")
    parser.add_argument("--phases", type=lambda text: text.split(","), default=list(PHASES))
    parser.add_argument("--random", type=int, default=0, metavar="N", help="and so many at random")
    parser.add_argument("--rehearsal", action="store_true", help="on rehearsed devices instead of the lab")
    args = parser.parse_args()
    rehearsal = args.rehearsal or why_not() is not None
    known = ["SIGKILL", "SIGSTOP", "cut off"] if rehearsal else [*USUAL, *SPECIAL]
    faults = [fault for fault in known if args.only is None or fault in args.only]
    with tempfile.TemporaryDirectory(prefix="exo-tui-faults-") as folder:
        matrix = Matrix(_model(Path(folder) / "model"), Path(folder), rehearsal=rehearsal)
        try:
            await matrix.run(faults, args.phases, args.random)
        finally:
            matrix.close()
    short = [row for row in matrix.rows if not row.good]
    print(f"\n{len(matrix.rows)} faults, {len(short)} fell short")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

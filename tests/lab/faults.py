"""The fault matrix: what breaks in which phase, and what came of it, as one table.

    python -m tests.lab.faults [--on lab,rehearsal] [--only FAULT,...] [--phases PHASE,...] [--random N]

Needs root, like the lab; without it, only the rehearsal is broken. Exits 1 when a figure falls short of what
is promised: a killed process is named within a second, all else within five; the culprit is the right one;
the others are freed; the answer goes on, with the tokens of an undisturbed run; nothing is left running.

A disk that fills, or a Python that goes wrong, under ranks that run does no harm there: then nobody may be
blamed. Both are tried at the start of a rank as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
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
from core.request import Sampling
from core.wish import Wish
from tests import tiny_models
from tests.lab.breaking import LEASE_S, LIMIT, PROMPT, VICTIM, Bench, InLab, InRehearsal, Rehearsed
from tests.lab.cluster import Setup, device, ours, workers
from tests.lab.namespaces import why_not
from tests.lab.vlab import Lab

PHASES = ("load", "warmup", "prefill", "decode", "idle")
KILLED_S, OTHER_S = 1.0, 5.0
"""What is promised: to name a process that ended, and everything else."""
TOKENS = 48
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
    harmless: bool = False
    """Nothing is to come of it, and nobody to be named."""

    @property
    def good(self) -> bool:
        quick = self.harmless or (self.named_s is not None and self.named_s <= self.limit_s)
        return quick and self.right and self.freed and self.equal and not self.left and not self.problem

    def line(self) -> str:
        seconds = f"{self.named_s:.2f}" if self.named_s is not None else "nobody" if self.harmless else "—"
        marks = " | ".join("yes" if one else "NO" for one in (self.right, self.freed, self.equal))
        end = self.left or "nothing"
        return f"| {self.fault} | {self.phase} | {seconds} | {marks} | {end} |{' ' + self.problem}".rstrip()


HEAD = (
    "| fault | in | named after s | culprit right | others freed | answer went on, equal | left running |\n"
    "|---|---|---|---|---|---|---|"
)


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


def _interpreter(folder: Path) -> Path:
    """What the victim's device has for a Python: this one, until somebody replaces it."""
    path = folder / "python-of-the-victim"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


@asynccontextmanager
async def _cluster(
    spec: ModelSpec, folder: Path, lab: Lab | None, *, recover: Recover
) -> AsyncIterator[Bench]:
    config = Config(folder, folder / "cache", local=False, recover=recover)
    rehearsal = None
    wish = Wish(split=(4, 4, 4))
    folder.mkdir(parents=True, exist_ok=True)
    python = _interpreter(folder if lab is None else lab.dir)
    if lab is None:
        rehearsal = Rehearsed(3)
        rehearsal.python = str(python)
    else:
        config.known_hosts.write_text("".join(host.known_hosts_line() for host in lab.machines))
        entries = [
            msgspec.convert(
                device(host, **({"python": str(python)} if host.name == VICTIM else {})), DeviceEntry
            )
            for host in lab.machines
        ]
        config = msgspec.structs.replace(config, devices=tuple(entries))
    sampling = Sampling(max_tokens=TOKENS, ignore_eos=True, chunk=32)
    cluster = Cluster(Bus(), config, spec=spec, wish=wish, sampling=sampling, rehearsal=rehearsal)
    try:
        await cluster.start()
        bench = (
            InRehearsal(cluster, rehearsal, python) if rehearsal is not None else InLab(cluster, lab, python)
        )
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
    row.harmless = fault in HARMLESS
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
        bench.prepare(fault)
        if phase == "idle":
            bench.cluster.launch()
            await bench.until(lambda state: state.run and state.run.live and state.run.ready, "the run")
            act()
            request = None
        else:
            _when(bench, phase, act)
            request = bench.ask()
        await bench.until(lambda _: broken or blamed, f"{phase} on {bench.victim}")
        if row.harmless and broken:
            row.equal = await bench.answer(request or bench.ask()) == expected
            row.right = row.freed = not blamed
            row.said = blamed[0].text if blamed else ""
            return row
        if not broken:
            raise RuntimeError(f"before anything was broken: {blamed[0].text}")
        await bench.until(lambda _: blamed, "a culprit", 40)
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
        bench.mend()
    return row


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
        await bench.until(lambda _: broken or blamed, f"{phase} on {bench.victim}")
        if not broken:
            raise RuntimeError(f"before anything was broken: {blamed[0].text}")
        await bench.until(lambda _: blamed, "a culprit", 40)
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


def _console_gone(lab: Lab, folder: str, number: int, name: str, phase: str) -> Row:
    """The console itself: nothing it started may outlive its lease. Before the first token comes, "load" is
    as soon as there is a worker anywhere; "idle" is a server that nobody has asked anything.
    """
    row = Row(name, phase, limit_s=LEASE_S, right=True, equal=True)
    hosts = [host.name for host in lab.machines]
    setup = Setup(lab, folder, [device(host) for host in lab.machines], pinned=hosts)
    asked = ["--prompt", PROMPT, "--on", ",".join(hosts), "--split", "4,4,4", "--max-tokens", "2000"]
    if phase == "idle":
        command = setup.start("serve", lab.dir / "model", *asked[2:6], "--port", "0")
    else:
        command = setup.start("run", lab.dir / "model", *asked, "--temp", "1", "--seed", "1")
    try:
        if phase == "load":
            end = time.monotonic() + LIMIT
            while time.monotonic() < end and not all(workers(host) for host in lab.machines):
                time.sleep(0.02)
        elif phase == "idle":
            command.complains("is served at")
        else:
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
                result.left = await bench.left()
        return result

    def show(self, row: Row) -> None:
        self.rows.append(row)
        print(row.line(), flush=True)
        if not row.good:
            print(f"  {row.said}", file=sys.stderr, flush=True)

    async def run(self, faults: list[str], phases: list[str], more: int) -> None:
        expected = await self._with(_undisturbed)
        for fault in faults:
            await self._fault(fault, phases, expected)
        chance = random.Random(7)
        usual = [f for f in faults if f in (*LAB, *REHEARSAL) and f not in HARMLESS]
        for _ in range(more):
            await self._fault(chance.choice(usual), [chance.choice(phases)], expected)

    async def _fault(self, fault: str, phases: list[str], expected: tuple[int, ...]) -> None:
        lab = self.lab()
        match fault:
            case "disk full at the start" | "wrong Python at the start":
                kind = fault.removesuffix(" at the start")
                self.show(await self._with(lambda b: _from_the_start(b, kind, expected)))
            case "console's network":
                for phase in [phase for phase in phases if phase != "idle"]:
                    self.show(await self._with(lambda b, p=phase: _network_lost(b, p, expected)))
            case "console SIGKILL" | "console SIGHUP":
                assert lab is not None
                number = signal.SIGKILL if fault == "console SIGKILL" else signal.SIGHUP
                for phase in [phase for phase in phases if phase in ("load", "decode", "idle")]:
                    name = f"{fault.split()[1]}-{phase}-{len(self.rows)}"
                    self.show(await asyncio.to_thread(_console_gone, lab, name, number, fault, phase))
            case _:
                for phase in phases:
                    self.show(await self._with(lambda b, p=phase: one(b, fault, p, expected)))
                    if fault == "power off":
                        self.close()


LAB = ("SIGKILL", "SIGSTOP", "power off", "cable out", "black hole", "SSH killed", "out of memory",
       "disk full", "wrong Python")  # fmt: skip
REHEARSAL = ("SIGKILL", "SIGSTOP", "power off", "host frozen", "cut off", "SSH killed", "out of memory",
             "wrong Python")  # fmt: skip
HARMLESS = ("disk full", "wrong Python")
SPECIAL = ("disk full at the start", "wrong Python at the start", "console's network", "console SIGKILL",
           "console SIGHUP")  # fmt: skip


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
    bench.prepare(fault)
    bench.faults[f"{fault} at the start"]()
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
        bench.mend()
    return row


async def main() -> int:
    """Print the table; 1 when something falls short."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", type=lambda text: text.split(","), help="faults, by name")
    parser.add_argument("--phases", type=lambda text: text.split(","), default=list(PHASES))
    parser.add_argument("--random", type=int, default=0, metavar="N", help="and so many at random")
    parser.add_argument("--on", type=lambda text: text.split(","), default=["lab", "rehearsal"])
    args = parser.parse_args()
    short = count = 0
    with tempfile.TemporaryDirectory(prefix="exo-tui-faults-") as folder:
        spec = _model(Path(folder) / "model")
        for place in [one for one in args.on if one == "rehearsal" or why_not() is None]:
            known = [*LAB, *SPECIAL] if place == "lab" else [*REHEARSAL, "wrong Python at the start"]
            faults = [fault for fault in known if args.only is None or fault in args.only]
            print(f"\nOn the {place}:\n\n{HEAD}", flush=True)
            matrix = Matrix(spec, Path(folder) / place, rehearsal=place == "rehearsal")
            try:
                await matrix.run(faults, args.phases, args.random)
            finally:
                matrix.close()
            count += len(matrix.rows)
            short += sum(not row.good for row in matrix.rows)
    print(f"\n{count} faults, {short} fell short")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

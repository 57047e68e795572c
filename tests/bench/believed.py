"""Are verdicts to be believed? `python -m tests.bench.believed [--same N] [--slowed N] [--keep FOLDER]`.

On an idle machine with Linux: real sessions of a rehearsal of two devices, some of one plan, some of the
same plan with one device slowed (its rank is stopped half of the time). Every pair is compared as
`exo-tui compare` does. Of the same plan at least 19 of 20 pairs must show no difference, with the slowed
device 19 of 20 be slower. Sessions that do not count, and are said: those during which other programs were
busy, or the processors of another speed than in the others (guests of the same host, heat), and those that
the report itself calls unsteady.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from itertools import combinations, product
from pathlib import Path

from core import config
from core import events as ev
from core.bench.bencher import Bencher
from core.bench.compare import Comparison, Side, compare
from core.bench.lint import unsteady
from core.bench.metrics import DECODE
from core.bench.report import report
from core.bench.suite import Repeats, Suite
from core.bench.table import launches
from core.models import demo
from core.models.fingerprint import fingerprint
from core.models.spec import read as read_model
from core.session.format import read
from tests.e2e.rehearsed import rehearsed
from tests.tiny_models import build

STOPPED_S = 0.01
"""As long as it is stopped it then runs."""
ENOUGH = 19 / 20
KINDS = ("same", "slowed")
IDLE = 0.5
"""Cores that other programs may use: a session during which it was more is kept apart, and does not count,
unless it was run before all of them (`chrt -r 1 python -m …`)."""
PACE = 1.25
"""Times as long as in the middle one of the sessions, or as short, that one and the same work may take."""
LOOK_S = 0.1
ROUNDS = 3
"""Sessions that did not count are measured again so often, less one."""


class Slowed:
    """Stops a process half of the time, from a thread."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            while not self._over.is_set():
                os.kill(self._pid, signal.SIGSTOP)
                time.sleep(STOPPED_S)
                os.kill(self._pid, signal.SIGCONT)
                time.sleep(STOPPED_S)

    def end(self) -> None:
        self._over.set()
        self._thread.join()


class Others:
    """What other programs of this machine use of its processors, in cores."""

    def __init__(self) -> None:
        self._since, self._before = time.monotonic(), self._used()

    @property
    def cores(self) -> float:
        """On the average since the start. Children count as ours once they have ended."""
        return (self._used() - self._before) / (time.monotonic() - self._since)

    def _used(self) -> float:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, *interrupts = map(int, file.readline().split()[1:9])
        ours = sum(os.times()[:4])
        return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK") - ours


class Yardstick:
    """How long a fixed piece of work takes, in CPU time, now and then: what a slower processor does to it."""

    def __init__(self) -> None:
        self._over, self._found = threading.Event(), [self._work()]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            self._found.append(self._work())

    def _work(self) -> float:
        begun = time.thread_time()
        sum(i * i % 7 for i in range(20_000))
        return time.thread_time() - begun

    def end(self) -> float:
        """Seconds, on the average."""
        self._over.set()
        self._thread.join()
        return statistics.mean(self._found)


def side(file: Path) -> Side:
    """A recorded session, read back."""
    told = report(read(file), file.name)
    return Side(name=file.name, card=told.card, trials=told.trials)


async def session(model: Path, file: Path, split: tuple[int, int], suite: Suite, *, slowed: bool) -> None:
    """Record one session."""
    with tempfile.TemporaryDirectory() as folder:
        async with rehearsed(model, 2, Path(folder), split=split, recording=file) as live:
            spec, plan = read_model(model), live.bus.state.plan
            assert plan is not None
            slow: list[Slowed] = []

            def hear(event: ev.AnyEvent) -> None:
                if isinstance(event, ev.RunReady) and slowed and live.bus.state.run is not None:
                    hello = live.bus.state.run.ranks[1].hello
                    assert hello is not None
                    slow.append(Slowed(hello.pid))
                if isinstance(event, ev.BenchDone):
                    for one in slow:
                        one.end()

            live.bus.subscribe(hear)
            bencher = Bencher(live.cluster, suite, [("auto", plan)], spec.vocabulary, fingerprint(model))
            try:
                await bencher.run()
            finally:
                for one in slow:
                    one.end()


def verdicts(found: list[Comparison], wanted: str) -> bool:
    """Print how many say what is wanted, and the others."""
    good = [one for one in found if one.verdict == wanted]
    print(f"  {wanted!r}: {len(good)} of {len(found)}")
    for one in found:
        if one.verdict != wanted:
            told = one.overall
            why = f"{told.ratio:.3f} ({told.low:.3f} to {told.high:.3f})" if told else ""
            print(f"    {one.first} and {one.second}: {one.verdict} {why} {[f.text for f in one.findings]}")
    return len(good) >= ENOUGH * len(found)


async def measure(folder: Path, suite: Suite, wanted: dict[str, int], *, tiny: bool) -> None:
    """Record what is missing of the sessions that are wanted, by kind."""
    if tiny:
        tiny_ = folder / "tiny"
        model, split = tiny_ if tiny_.exists() else build("llama", tiny_), (4, 2)
    else:
        model, split = await demo.ensure(config.load().cache, print), (17, 13)
    # In turn, so that a machine that grows slower meanwhile does not favour either.
    kinds = [kind for kind, count in wanted.items() for _ in range(count - len(recorded(folder, kind)))]
    random.Random(1).shuffle(kinds)
    for kind in kinds:
        file = folder / "running.exo"
        file.unlink(missing_ok=True)  # of a call that was interrupted
        others, yardstick = Others(), Yardstick()
        await session(model, file, split, suite, slowed=kind == "slowed")
        pace = yardstick.end()
        file = file.rename(folder / f"{kind}-{pace * 1e6:.0f}us-{time.strftime('%H%M%S')}.exo")
        told(side(file), others.cores)
        if others.cores > IDLE and os.sched_getscheduler(0) == os.SCHED_OTHER:
            apart(file, "disturbed")
        # Every reader of a recording is told that, and may leave it out.
        elif unsteady(side(file).trials):
            apart(file, "unsteady")
    files = [file for kind in wanted for file in recorded(folder, kind)]
    paces = [int(file.name.split("-")[1].removesuffix("us")) for file in files]
    for file, pace in zip(files, paces, strict=True):
        if not 1 / PACE < pace / statistics.median(paces) < PACE:
            apart(file, "disturbed")


def recorded(folder: Path, kind: str) -> list[Path]:
    """Sessions that count. Names tell what the fixed piece of work took."""
    return sorted(folder.glob(f"{kind}-*.exo"))


def apart(file: Path, why: str) -> None:
    """Of the folder, but of no verdict."""
    file.rename(file.with_name(f"{why}-{file.name}"))
    print(f"{file.name} does not count: {why}")


def told(one: Side, others: float) -> None:
    """Print a session's figures in short."""
    values = [value for t in one.trials if not t.warmup and (value := DECODE.of(t))]
    spread = statistics.stdev(values) / statistics.mean(values)
    said = f"{one.name}: {statistics.mean(values):.2f} tok/s, spread {spread:.1%} in {len(values)} runs"
    print(f"{said}; other programs used {others:.2f} cores", flush=True)


async def main() -> int:
    """Measure, compare, tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--same", type=int, default=7, help="sessions of one plan (7 make 21 pairs)")
    parser.add_argument("--slowed", type=int, default=3, help="sessions with the slowed device")
    parser.add_argument("--demo", action="store_true", help="the demo model instead of a tiny one")
    parser.add_argument("--keep", type=Path, help="where recordings stay: the next call goes on")
    args = parser.parse_args()
    suite = Suite(name="believed", prompt=(16,), generate=(24 if args.demo else 96,), repeats=Repeats(4, 6))
    with tempfile.TemporaryDirectory() as name:
        folder: Path = args.keep or Path(name)
        for _ in range(ROUNDS):
            await measure(folder, suite, {"same": args.same, "slowed": args.slowed}, tiny=not args.demo)
        same, slowed = ([side(file) for file in recorded(folder, kind)] for kind in KINDS)
    if len(same) < args.same or len(slowed) < args.slowed:
        print(f"{len(same)} and {len(slowed)} sessions count; call again with the same --keep for the others")
        return 1
    means = [launches(DECODE, [t for t in one.trials if not t.warmup])[0] for one in same]
    print(f"launches of one plan spread by {statistics.stdev(means) / statistics.mean(means):.1%}")
    print("the same plan")
    equal = verdicts([compare(a, b) for a, b in combinations(same, 2)], "no difference shown")
    print("one device slowed")
    slower = verdicts([compare(a, b) for a, b in product(same, slowed)], "slower")
    return 0 if equal and slower else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

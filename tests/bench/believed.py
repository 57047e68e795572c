"""Are verdicts to be believed? `python -m tests.bench.believed [--same N] [--slowed N] [--demo]`.

On an idle machine: real sessions of a rehearsal of two devices, some of one plan, some of the same plan with
one device slowed (its rank is stopped half of the time). Every pair is compared as `exo-tui compare` does. Of
the same plan at least 19 of 20 pairs must show no difference, with the slowed device 19 of 20 be slower.
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


async def session(model: Path, file: Path, split: tuple[int, int], suite: Suite, *, slowed: bool) -> Side:
    """One recorded session, read back."""
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
    told = report(read(file), file.name)
    return Side(name=file.name, card=told.card, trials=told.trials)


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


async def main() -> int:
    """Measure, compare, tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--same", type=int, default=7, help="sessions of one plan (7 make 21 pairs)")
    parser.add_argument("--slowed", type=int, default=3, help="sessions with the slowed device")
    parser.add_argument("--demo", action="store_true", help="the demo model instead of a tiny one")
    args = parser.parse_args()
    tokens = 24 if args.demo else 96
    suite = Suite(name="believed", prompt=(16,), generate=(tokens,), repeats=Repeats(4, 6, 0.02))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.demo:
            model, split = await demo.ensure(config.load().cache, print), (17, 13)
        else:
            model, split = build("llama", folder / "tiny"), (4, 2)
        sides: dict[bool, list[Side]] = {False: [], True: []}
        plan = [False] * args.same + [True] * args.slowed
        # In turn, so that a machine that grows slower meanwhile does not favour either.
        random.Random(1).shuffle(plan)
        for i, slowed in enumerate(plan):
            file = folder / f"{'slow' if slowed else 'same'}{i}.exo"
            side = await session(model, file, split, suite, slowed=slowed)
            sides[slowed].append(side)
            [mean] = launches(DECODE, [trial for trial in side.trials if not trial.warmup])
            print(f"{side.name}: {mean:.2f} tok/s over {len(side.trials)} runs", flush=True)
        means = [launches(DECODE, [t for t in side.trials if not t.warmup])[0] for side in sides[False]]
        print(f"launches of one plan spread by {statistics.stdev(means) / statistics.mean(means):.1%}")
        print("the same plan")
        same = verdicts([compare(a, b) for a, b in combinations(sides[False], 2)], "no difference shown")
        print("one device slowed")
        slower = verdicts([compare(a, b) for a, b in product(sides[False], sides[True])], "slower")
    return 0 if same and slower else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

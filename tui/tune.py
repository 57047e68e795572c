"""The `tune` command: find the best split by measuring."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from argparse import Namespace
from pathlib import Path

import msgspec

from core.bench.bencher import Bencher, BenchError
from core.bench.contenders import here
from core.bench.export import change
from core.bench.suite import Suite
from core.bench.tune import SUITE, Tried, Tuned, Tuner
from core.bus import Bus
from core.cluster import Cluster
from core.models.fingerprint import fingerprint
from core.models.spec import ModelSpec
from core.session.record import unnamed
from tui import prepare
from tui.cli import DONE, Failure
from tui.headless import planned, print_json
from tui.lastwords import print_last_words
from tui.planning import measured


async def tune(args: Namespace) -> int:
    """Search around the planner's plan, and say which split to take."""
    config = prepare.unattended(args)
    wish = prepare.wish(args, config.wish, everywhere=bool(args.demo_devices))
    spec = await prepare.model(args.model, config.cache, wish)
    bus = Bus()
    bus.subscribe(print_last_words)
    file: Path = args.out or unnamed("tune")
    recording = prepare.recorder(bus, file)
    rehearsal = prepare.rehearsal(args.demo_devices) if args.demo_devices else None
    cluster = Cluster(bus, config, spec=spec, wish=wish, rehearsal=rehearsal, recorder=recording)
    try:
        await prepare.start(cluster)
        found = await _search(cluster, spec)
    except BenchError as error:
        raise Failure(str(error)) from None
    finally:
        await cluster.close()
        print(f"exo-tui: recorded in {file}", file=sys.stderr)
    if args.json:
        print_json({"schema": "exo-tune/1", **msgspec.to_builtins(found)})
    else:
        print("\n".join(_lines(found)))
    return DONE


async def _search(cluster: Cluster, spec: ModelSpec) -> Tuned:
    bus = cluster.bus
    await planned(cluster)
    await measured(bus)
    auto = await planned(cluster)
    if len(auto.stages) < 2:
        raise Failure("the plan is a single stage: there is no split to tune")
    made = here(bus.state, auto, auto.context)
    alone = dict(made.of(Suite(name="single", plans=("single",))))
    model = await asyncio.to_thread(fingerprint, Path(spec.path))
    bencher = Bencher(cluster, SUITE, [], spec.vocabulary, model)
    return await Tuner(bencher, auto, alone.get("single"), made.again, _tell).run()


def _tell(tried: Tried) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(f"exo-tui: {_line(tried)}", file=sys.stderr, flush=True)


def _line(tried: Tried) -> str:
    name = "/".join(map(str, tried.split))
    if tried.refused:
        return f"{name}: refused, {tried.refused}"
    effect = f", {tried.effect.verdict} ({change(tried.effect)})" if tried.effect else ""
    return f"{name}: {tried.tps or 0:.2f} tok/s{effect}"


def _lines(found: Tuned) -> list[str]:
    best, planned_ = "/".join(map(str, found.best)), "/".join(map(str, found.planned))
    lines = [f"Every split had to write the greedy text of {found.reference}.", ""]
    lines += [_line(tried) for tried in found.tried]
    if found.gain is None:
        return [*lines, "", f"Nothing was shown to be faster than the planner's {planned_}."]
    if found.best == found.planned:
        why = f"what seemed to be was not over all launches: {change(found.gain)}"
        return [*lines, "", f"The planner's {planned_} stays; {why}."]
    options = f"--split {','.join(map(str, found.best))} --on {','.join(found.devices)}"
    return [*lines, "", f"{best} is faster than the planner's {planned_}: {change(found.gain)}.", options]

"""The commands that measure and compare: `bench`, `compare` and `export`."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from argparse import Namespace
from pathlib import Path

import msgspec

from core import events as ev
from core.bench import export
from core.bench.bencher import Bencher
from core.bench.collect import split_name
from core.bench.contenders import here
from core.bench.metrics import telling
from core.bench.progress import turn
from core.bench.report import Report, compared, report
from core.bench.suite import NamedSplit, Suite, SuiteError, load
from core.bus import Bus
from core.cluster import Cluster
from core.models.fingerprint import fingerprint
from core.models.spec import ModelSpec
from core.session.format import RecordingError, read
from core.session.record import unnamed
from tui import prepare
from tui.cli import DONE, FAILED, INTERRUPTED, Failure, UsageError
from tui.headless import planned, print_json
from tui.lastwords import print_last_words
from tui.planning import measured


def _suite(args: Namespace) -> Suite:
    try:
        suite = load(args.suite)
    except SuiteError as error:
        raise UsageError(str(error)) from None
    if not args.split:
        return suite
    asked = NamedSplit("asked", args.split, args.on)
    return msgspec.structs.replace(suite, plans=(), plan=(asked,))


def _file(args: Namespace, suite: Suite) -> Path:
    """Where the recording goes: nothing is measured without one."""
    if args.out is not None:
        return args.out
    return unnamed(f"bench-{suite.name}")


async def bench(args: Namespace) -> int:
    """Run a suite, record it, print what came of it. What was measured before ctrl+c is kept and printed."""
    config = prepare.unattended(args)
    suite = _suite(args)
    wish = prepare.wish(args, config.wish, everywhere=bool(args.demo_devices))
    spec = await prepare.model(args.model, config.cache, wish)
    if suite.longest > spec.context:
        raise UsageError(
            f"suite {suite.name} needs a context of {suite.longest} tokens; {spec.name} has {spec.context}"
        )
    wish = msgspec.structs.replace(wish, context=max(wish.context, suite.room))
    file = _file(args, suite)
    bus = Bus()
    bus.subscribe(print_last_words)
    recording = prepare.recorder(bus, file)
    rehearsal = prepare.rehearsal(args.demo_devices) if args.demo_devices else None
    cluster = Cluster(bus, config, spec=spec, wish=wish, rehearsal=rehearsal, recorder=recording)
    interrupted = False
    try:
        await prepare.start(cluster)
        await _measure(cluster, spec, suite)
    except asyncio.CancelledError:
        interrupted = True
    finally:
        await cluster.close()
    told = _read(file)
    _say(f"recorded in {file}")
    _print(told, as_json=args.json)
    if interrupted:
        return INTERRUPTED
    return DONE if told.rows else FAILED


async def _measure(cluster: Cluster, spec: ModelSpec, suite: Suite) -> None:
    bus = cluster.bus
    await planned(cluster)
    await measured(bus)
    auto = await planned(cluster)
    kept, _ = await asyncio.to_thread(cluster.shelf.load)
    made = here(bus.state, auto, max(auto.context, suite.room), kept)
    contenders = made.of(suite)
    for reason in made.left_out:
        _say(f"left out: {reason}")
    if not contenders:
        raise Failure("none of the suite's plans can be made here")
    model = await asyncio.to_thread(fingerprint, Path(spec.path))
    counts = f"points {len(suite.points)}, plans {len(contenders)}, launches {suite.launches}"
    _say(f"suite {suite.name}: {counts}; ctrl+c ends it and keeps what was measured")
    bus.subscribe(_Progress(suite).hear)
    await Bencher(cluster, suite, contenders, spec.vocabulary, model).run()


class _Progress:
    """One line on stderr a trial."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._now: ev.TrialStarted | None = None

    def hear(self, event: ev.AnyEvent) -> None:
        """Say what is being measured, and what came of it."""
        match event:
            case ev.RunStarted():
                _say(f"launching {split_name(event.plan)}")
            case ev.TrialStarted():
                self._now = event
            case ev.TrialDone() if self._now is not None:
                now, trial = self._now, event.trial
                what = event.error or "failed"
                if trial is not None:
                    metric = telling(trial.point)
                    value = metric.of(trial)
                    what = f"{metric.title} {value:.{metric.digits}f} {metric.unit}" if value else "no figure"
                _say(f"{now.plan}, {now.point.label}, {turn(self._suite, now)}: {what}")
            case ev.Alert() if event.level != "info":
                _say(f"{event.subject}: {event.text}")
            case _:
                pass


def _say(text: str) -> None:
    print(f"exo-tui: {text}", file=sys.stderr, flush=True)


def _read(file: Path) -> Report:
    try:
        return report(read(file), file.name)
    except RecordingError as error:
        raise Failure(str(error)) from None


def _print(told: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(export.document(told))
    else:
        print("\n".join(export.text(told, shutil.get_terminal_size((160, 24)).columns)))


def compare_files(args: Namespace) -> int:
    """Compare recordings with the first; of a single one, its plans with its first plan."""
    reports = [_read(file) for file in args.files]
    found = compared(reports)
    if not found:
        raise Failure(f"{args.files[0]} holds a single plan; name a second recording")
    if args.json:
        print_json({"schema": "exo-compare/1", "comparisons": found})
    else:
        print("\n\n".join("\n".join(export.compared(one)) for one in found))
    return DONE


def export_file(args: Namespace) -> int:
    """A recording's results as Markdown, CSV, JSON or HTML, or all of it as an asciicast; on standard output
    or to a file."""
    from core.bench import html

    if args.to == "cast":
        _emit(_cast(args), args.out)
        return DONE
    told = _read(args.file)
    match args.to:
        case "md":
            made = export.markdown(told)
        case "csv":
            made = export.csv(told)
        case "html":
            made = html.page(told)
        case _:
            made = msgspec.json.format(msgspec.json.encode(export.document(told)), indent=2).decode() + "\n"
    _emit(made, args.out)
    return DONE


def _cast(args: Namespace) -> str:
    # Before Textual is imported: the colours are those of a terminal, whatever this one is.
    os.environ["TEXTUAL_COLOR_SYSTEM"] = "256"
    from tui.cast import cast

    try:
        recording = read(args.file)
    except RecordingError as error:
        raise Failure(str(error)) from None
    lines = asyncio.run(cast(recording, args.file.name, args.size))
    return "".join(f"{line}\n" for line in lines)


def _emit(text: str, path: Path | None) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Failure(f"{path} exists already") from None
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from None

"""The command line: what can be typed, and the exit code that comes of it."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_ABOVE = argparse.SUPPRESS
"""Default of an option that may also stand before the command: what was said there holds."""
_RECORDED = ("tui.open:console", "tui.open:demo", "tui.headless:run", "tui.serve:serve")


class UsageError(Exception):
    """What was typed cannot be meant; exit code 2."""


class Failure(Exception):
    """It did not work; exit code 1."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """What was typed. Raises UsageError."""
    args = _parser().parse_args(argv)
    if args.record is not None and args.command not in _RECORDED:
        raise UsageError("--record is for the console, demo, run and serve; bench and tune record to --out")
    return args


def run(argv: Sequence[str]) -> int:
    """Carry out a command line; returns its exit code. Complaints are one line on stderr."""
    try:
        args = parse(argv)
        command: Callable[[argparse.Namespace], Coroutine[Any, Any, int] | int] = _load(args.command)
        result = command(args)
        return result if isinstance(result, int) else asyncio.run(result)
    except UsageError as error:
        return _complain(str(error), USAGE)
    except Failure as error:
        return _complain(str(error), FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        return FAILED


def _complain(text: str, code: int) -> int:
    from core.text import clean  # file names and settings are quoted in complaints

    print(f"exo-tui: {clean(text)}", file=sys.stderr)
    return code


def _load(name: str) -> Callable[[argparse.Namespace], Coroutine[Any, Any, int] | int]:
    # Each command imports what it needs and no other: the console's first paint must not wait for asyncssh.
    module, function = name.split(":")
    return getattr(importlib.import_module(module), function)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


class _Command(_Parser):
    """A command's parser: options may stand between the words, as in `bench quick --context 8192 MODEL`."""

    _between = False

    def parse_known_args(self, *args: Any, **named: Any) -> Any:
        if self._between:  # argparse takes words and options apart by calling this for each
            return super().parse_known_args(*args, **named)
        self._between = True
        try:
            return self.parse_known_intermixed_args(*args, **named)
        finally:
            self._between = False


def _count(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return parse


def _number(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = float(text)
        if not least <= number <= most:  # nor is nan
            raise ValueError
        return number

    parse.__name__ = f"number from {least:g} to {most:g}"  # what argparse calls an invalid one
    return parse


def _split(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a split such as 12,10,8")
    counts = tuple(map(int, parts))
    if 0 in counts:
        raise argparse.ArgumentTypeError(f"{text!r} gives a device no layer")
    return counts


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) >= 40 and int(height) >= 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 120x40, at least 40x10")
    return int(width), int(height)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    devices = [one for name in names for one in name.split("+")]
    if len(set(devices)) < len(devices):
        raise argparse.ArgumentTypeError(f"{text!r} names a device twice")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="exo-tui", description="One MLX cluster from the machines on your desk, in a terminal."
    )
    parser.set_defaults(command="tui.open:console")
    parser.add_argument(
        "--model", help="a model directory or an id in the hub cache; `demo` for the demo model"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="record the session")
    _plan_options(parser)
    _run_options(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Command)

    def add(name: str, command: str, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(command=command)
        return sub

    demo = add("demo", "tui.open:demo", "the console on a rehearsed cluster on this machine")
    demo.add_argument("--devices", type=_count(1, 16), default=3, metavar="N")
    demo.add_argument("--model", default=_ABOVE, help="a model directory instead of the demo model")
    demo.add_argument(
        "--chaos", action="store_true", help="break a device every now and then, and watch it recover"
    )
    demo.add_argument("--record", type=Path, metavar="FILE", default=_ABOVE, help="record the session")
    _plan_options(demo, _ABOVE)
    _run_options(demo, _ABOVE)

    devices = add("devices", "tui.headless:devices", "browse the network, list peers and devices")
    devices.add_argument(
        "--wait", type=_number(0, 3600), default=3.0, metavar="S", help="seconds to listen (default 3)"
    )
    devices.add_argument(
        "--bandwidth", action="store_true", help="also measure what each path carries, a second each way"
    )
    devices.add_argument("--json", action="store_true")

    plan = add("plan", "tui.planning:plan", "plan without launching")
    plan.add_argument(
        "model", metavar="MODEL", nargs="?", help="`demo`, a directory, a hub id or a spec file"
    )
    plan.add_argument("--cluster", type=Path, metavar="FILE", help="plan for what `devices --json` printed")
    plan.add_argument(
        "--instance", type=Path, metavar="FILE", help="solve the problems of an exo-plan/1 file"
    )
    _plan_options(plan, _ABOVE)
    plan.add_argument("--json", action="store_true")

    generate = add("run", "tui.headless:run", "launch, generate once, stop")
    generate.add_argument("model", metavar="MODEL")
    generate.add_argument("--prompt", required=True)
    generate.add_argument(
        "--demo-devices", type=_count(1, 16), metavar="N", help="on a rehearsed cluster of N"
    )
    _plan_options(generate, _ABOVE)
    _run_options(generate, _ABOVE)
    generate.add_argument("--max-tokens", type=_count(1, 10**6), default=256, metavar="N")
    generate.add_argument("--temp", type=_number(0, 100), default=0.0, metavar="T")
    generate.add_argument("--top-p", type=float, default=1.0, metavar="P")
    generate.add_argument("--seed", type=_count(0, 2**31), metavar="S")
    generate.add_argument("--record", type=Path, metavar="FILE", default=_ABOVE, help="record the session")
    generate.add_argument("--json", action="store_true")

    serve = add("serve", "tui.serve:serve", "launch, and serve the OpenAI-compatible API until interrupted")
    serve.add_argument("model", metavar="MODEL")
    serve.add_argument("--host", default="127.0.0.1", help="address to serve on (default 127.0.0.1)")
    serve.add_argument("--port", type=_count(0, 65535), default=52415, metavar="N", help="(default 52415)")
    serve.add_argument(
        "--token", help="what clients have to show; also EXO_TUI_TOKEN, which other users cannot see"
    )
    serve.add_argument("--demo-devices", type=_count(1, 16), metavar="N", help="on a rehearsed cluster of N")
    _plan_options(serve, _ABOVE)
    _run_options(serve, _ABOVE)
    serve.add_argument("--record", type=Path, metavar="FILE", default=_ABOVE, help="record the session")

    bench = add("bench", "tui.bench:bench", "run a suite, record it, print the table")
    bench.add_argument(
        "suite", metavar="SUITE", nargs="?", default="quick", help="quick, standard, sweep, depth, or a file"
    )
    bench.add_argument("model", metavar="MODEL")
    bench.add_argument("--demo-devices", type=_count(1, 16), metavar="N", help="on a rehearsed cluster of N")
    _plan_options(bench, _ABOVE)
    _run_options(bench, _ABOVE)
    bench.add_argument("--out", type=Path, metavar="FILE", help="the recording (default: among the sessions)")
    bench.add_argument("--json", action="store_true")

    tune = add("tune", "tui.tune:tune", "find the best split around the planner's by measuring")
    tune.add_argument("model", metavar="MODEL")
    tune.add_argument("--demo-devices", type=_count(1, 16), metavar="N", help="on a rehearsed cluster of N")
    _plan_options(tune, _ABOVE)
    _run_options(tune, _ABOVE)
    tune.add_argument("--out", type=Path, metavar="FILE", help="the recording (default: among the sessions)")
    tune.add_argument("--json", action="store_true")

    compare = add("compare", "tui.bench:compare_files", "compare recordings, or the plans of one")
    compare.add_argument("files", type=Path, metavar="FILE", nargs="+")
    compare.add_argument("--json", action="store_true")

    export = add("export", "tui.bench:export_file", "a recording's results, to pass on")
    export.add_argument("file", type=Path, metavar="FILE")
    export.add_argument("--to", choices=("md", "csv", "json", "html", "cast"), default="md")
    export.add_argument(
        "--size", type=_size, default=(120, 40), metavar="WxH", help="of the asciicast (default 120x40)"
    )
    export.add_argument("--out", type=Path, metavar="FILE", help="(default: standard output)")

    replay = add("replay", "tui.open:replay", "the console on a recording")
    replay.add_argument("file", type=Path)
    replay.add_argument("--speed", type=float, default=1.0)

    doctor = add("doctor", "tui.doctor:doctor", "what is wrong, why, and the command that mends it")
    doctor.add_argument(
        "hosts", metavar="HOST", nargs="*", help="these devices only; others than configured too"
    )
    doctor.add_argument("--demo-devices", type=_count(1, 16), metavar="N", help="on a rehearsed cluster of N")
    doctor.add_argument(
        "--collect",
        type=Path,
        metavar="FILE",
        help="write what devices print, without names, for a bug report",
    )
    doctor.add_argument("--json", action="store_true")

    announce = add("announce", "tui.announce:announce", "be found by consoles, until interrupted")
    announce.add_argument("--name", help="what to be called (default: as this computer is)")
    announce.add_argument(
        "--port", type=_count(1, 65535), default=22, metavar="N", help="where SSH listens (default 22)"
    )

    info = add("info", "tui.headless:info", "versions and paths")
    info.add_argument("--json", action="store_true")
    return parser


def _run_options(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    ranks = parser.add_argument_group("how ranks run", "recorded with the run; also [run] in config.toml")
    for name, about in (
        ("--tunnel", "what they send each other goes through SSH"),
        (
            "--dequantise",
            "on CPUs with OpenBLAS, quantised weights become float32 where that is faster (default)",
        ),
        ("--awake", "keep Macs awake with caffeinate -is"),
        ("--wired", "on Macs, keep weights in memory as Metal recommends (default)"),
        ("--fast-synch", "on Macs, set MLX_METAL_FAST_SYNCH (default: as it is there)"),
    ):
        ranks.add_argument(name, action=argparse.BooleanOptionalAction, default=default, help=about)


def _plan_options(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    plan = parser.add_argument_group(
        "what is planned", "context, kv_bits, mode and backend also as keys of [run] in config.toml"
    )
    several = default or ()
    plan.add_argument(
        "--context", type=_count(1, 10**7), default=default, metavar="N", help="tokens (default 4096)"
    )
    plan.add_argument(
        "--kv-bits",
        type=int,
        choices=(0, 2, 3, 4, 5, 6, 8),
        default=default,
        help="quantise the KV cache; 0 does not (default)",
    )
    plan.add_argument("--mode", choices=("auto", "pipeline", "tensor"), default=default)
    plan.add_argument("--backend", choices=("auto", "sockets", "ring", "jaccl"), default=default)
    plan.add_argument("--split", type=_split, default=several, metavar="12,10,8", help="layers per device")
    plan.add_argument(
        "--on",
        type=_names,
        default=several,
        metavar="a,b+c",
        help="devices of the split; b+c share their layers",
    )

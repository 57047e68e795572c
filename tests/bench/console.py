"""The console's promises measured in a real terminal: `python -m tests.bench.console [--quick] [--only …]`.

First paint, memory at rest and idle bytes are those of `exo-tui` itself. Keys and live bytes are those of
the same console on a feed like a rehearsal's: each device sampled and each rank heard once a second, links
measured in turn, an answer of twelve tokens a second, ten minutes of it behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from core import events as ev
from tests.bench.pty import Pty

SIZES = {4: (120, 40), 16: (160, 48), 64: (200, 60)}
TOKENS_S = 12
LINKS_S = 20
RANKS = 4
HISTORY_S = 600
KEYS = 60
PROMISED = {
    "first paint, warm": ("ms", 400.0),
    "memory of the console": ("MB", 120.0),
    "key to paint p95, 64 devices, six plots": ("ms", 50.0),
    "bytes/s, idle": ("B/s", 100.0),
    "bytes/s, 4 devices live, 120x40": ("B/s", 8000.0),
}


# The feed, in a process of its own


def name(k: int) -> str:
    return f"node-{k:02}"


def joined(count: int, t: float) -> Iterator[ev.AnyEvent]:
    """Devices that are ready, a run on the first few."""
    from core.plan.plan import Plan, Stage

    for k in range(count):
        for status in ("connecting", "ready"):
            yield ev.DeviceSeen(t=t, device=name(k), name=name(k), address=f"10.0.0.{k}", status=status)
        yield ev.DeviceFacts(
            t=t, device=name(k), system="Darwin", release="26.1", machine="arm64", chip="Apple M4 Max",
            cores=16, python="3.12.8",
        )  # fmt: skip
    ranks = min(RANKS, count)
    stages = tuple(Stage(name(r), 8 * r, 8 * r + 8) for r in range(ranks))
    plan = Plan(model="model", layers=8 * ranks, stages=stages, context=4096, backend="sockets")
    yield ev.PlanChosen(t=t, plan=plan)
    yield ev.RunStarted(t=t, run="r", plan=plan)
    for rank in range(ranks):
        yield ev.RankPhased(t=t, run="r", rank=rank, phase="ready")
    yield ev.ConversationStarted(t=t, conversation="c")


def sample(k: int, t: float) -> ev.DeviceSample:
    used = 20 + 6 * math.sin(t / 30 + k) + random.random()
    return ev.DeviceSample(
        t=t, device=name(k), memory_total=64 * 2**30, memory_used=int(used * 2**30), memory_limit=48 * 2**30,
        swap_used=0, load=2 + random.random(),
    )  # fmt: skip


def burst(a: int, b: int, t: float) -> ev.LinkMeasured:
    p50 = 300 + 60 * random.random()
    return ev.LinkMeasured(
        t=t, source=name(a), target=name(b), kind="ethernet", address=f"10.0.0.{b}", sent=30, received=30,
        min_us=p50 - 40, p50_us=p50, p99_us=p50 * (2 + random.random()),
    )  # fmt: skip


def pairs(count: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(count) for b in range(count) if a != b]


def second(
    count: int, t: float, number: int, every: list[tuple[int, int]]
) -> Iterator[tuple[float, ev.AnyEvent]]:
    """What a second brings, with the share of it at which it comes."""
    yield 0.0, ev.Tick(t=t)
    for k in range(count):
        yield k / count, sample(k, t + k / count)
    links = min(LINKS_S, max(1, len(every) // 5))
    for i in range(links):
        a, b = every[(number * links + i) % len(every)]
        yield i / links, burst(a, b, t + i / links)
    for rank in range(min(RANKS, count)):
        yield (
            0.5,
            ev.RankBeat(
                t=t + 0.5,
                run="r",
                rank=rank,
                state="busy",
                age=0.1,
                step=number,
                active=2**33,
                peak=2**33,
                cache=2**28,
            ),
        )
    request = f"q{number // 20}"
    if number % 20 == 0:
        yield 0.05, ev.RequestStarted(t=t, request=request, conversation="c", prompt="And then?")
        yield 0.1, ev.PrefillProgressed(t=t, request=request, done=500, total=500)
    elif number % 20 == 19:
        for rank in range(min(RANKS, count)):
            yield (
                0.6,
                ev.RankTimed(
                    t=t,
                    request=request,
                    rank=rank,
                    compute_s=8 + random.random(),
                    wait_s=6.0,
                    steps=200,
                    peak=2**33,
                ),
            )
        yield 0.7, ev.RequestDone(t=t, request=request, why="stop", tokens=216, ttft_s=0.4, decode_tps=12.0)
    else:
        for i in range(TOKENS_S):
            at = i / TOKENS_S
            yield at, ev.TokensStreamed(t=t + at, request=request, ids=(i,), text=f"word{i} ")


def feed(count: int) -> None:
    """The console on such a feed, until it is ended."""
    from core.bus import Bus
    from core.state import ClusterState, apply
    from tests.tui.scenes import FakeIntents
    from tui.app import ConsoleApp

    every = pairs(count)
    now = time.time()
    state = ClusterState()
    for event in joined(count, now - HISTORY_S):
        state = apply(state, event)
    for number in range(HISTORY_S):
        for _, event in second(count, now - HISTORY_S + number, number, every):
            state = apply(state, event)
    bus = Bus(state)

    async def live() -> None:
        number, start = HISTORY_S, time.time()
        while True:
            for at, event in sorted(second(count, time.time(), number, every), key=lambda pair: pair[0]):
                wait = start + number - HISTORY_S + at - time.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                bus.publish(event)
            number += 1

    async def connect() -> FakeIntents:
        await asyncio.to_thread(__import__, "tui.prepare")  # what the real console imports, for its memory
        app.run_worker(live())
        return FakeIntents()

    app = ConsoleApp(bus, connect)
    app.run()


# The measuring


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def itself(home: Path, runs: int) -> dict[str, float]:
    """`exo-tui` with no device: first paint, then what it is at rest."""
    config = home / "config"
    config.mkdir()
    (config / "config.toml").write_text("local = false\n")
    env = {"EXO_TUI_CONFIG": str(config), "EXO_TUI_CACHE": str(home / "cache"), "HOME": str(home)}
    program = [str(Path(sys.executable).with_name("exo-tui"))]
    paints: list[float] = []
    for number in range(runs + 1):
        terminal = Pty(program, (120, 40), env)
        paints.append((terminal.sees("1 Cluster") - terminal.started) * 1000)
        if number < runs:
            terminal.close()
    time.sleep(8)  # everything it imports after the first paint, and its word about a silent network
    before, spent = terminal.written, terminal.cpu()
    time.sleep(10)
    measured = {
        "first_paint_ms": statistics.median(paints[1:]),
        "first_paint_cold_ms": paints[0],
        "memory_mb": terminal.memory(),
        "idle_bytes_s": (terminal.written - before) / 10,
        "idle_cpu": (terminal.cpu() - spent) / 10,
    }
    terminal.close()
    return measured


def live(home: Path, count: int, keys: int, seconds: float) -> dict[str, float]:
    """The console on a feed of so many devices."""
    env = {"EXO_TUI_CONFIG": str(home / "none"), "HOME": str(home), "PYTHONPATH": os.getcwd()}
    program = [sys.executable, "-m", "tests.bench.console", "--feed", str(count)]
    terminal = Pty(program, SIZES[count], env)
    try:
        terminal.sees(f"{count} of {count} ready", 120)
        terminal.sees("Apple M4", 60)
        time.sleep(4)
        panes: dict[str, float] = {}
        spent = 0.0
        for pane in ("4", "2", "3", "1"):
            terminal.press(pane)
            time.sleep(2)
            before, busy, start = terminal.written, terminal.cpu(), time.perf_counter()
            time.sleep(seconds)
            span = time.perf_counter() - start
            panes[pane] = (terminal.written - before) / span
            spent = max(spent, (terminal.cpu() - busy) / span)
        took = pressed(terminal, keys)
        return {
            "key_p50_ms": percentile(took, 0.5),
            "key_p95_ms": percentile(took, 0.95),
            "key_max_ms": max(took),
            "cpu": spent,
            "memory_mb": terminal.memory(),
            "bytes_s": max(panes.values()),
            **{f"bytes_s_pane_{pane}": value for pane, value in sorted(panes.items())},
        }
    finally:
        terminal.close()


def pressed(terminal: Pty, keys: int) -> list[float]:
    """Milliseconds from each of so many keys to the row they choose."""
    took: list[float] = []
    at = 0
    for number in range(keys):
        time.sleep(0.1 + 0.3 * random.random())
        step = 1 if (number // 3) % 2 == 0 else -1
        at += step
        when = terminal.press("j" if step > 0 else "k")
        took.append((terminal.sees(rf"›\s+● ready\s+{name(at)}\b") - when) * 1000)
    return took


def machine() -> str:
    """What this was measured on."""
    model = (
        next(
            (
                line.split(":")[1].strip()
                for line in Path("/proc/cpuinfo").read_text().splitlines()
                if "model name" in line
            ),
            platform.processor(),
        )
        if Path("/proc/cpuinfo").exists()
        else platform.processor()
    )
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores, {system}"


def main() -> int:
    """Measure, print the promises; 1 where one falls short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feed", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="fewer keys and seconds")
    parts = ("rest", *map(str, SIZES))
    parser.add_argument(
        "--only", nargs="+", choices=parts, default=parts, help="the console at rest, or so many devices"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.feed:
        feed(args.feed)
        return 0
    keys, seconds, runs = (20, 4.0, 3) if args.quick else (KEYS, 10.0, 7)
    with tempfile.TemporaryDirectory() as folder:
        rest = itself(Path(folder), runs) if "rest" in args.only else {}
        lives = {n: live(Path(folder), n, keys, seconds) for n in SIZES if str(n) in args.only}
    figures = judged(rest, lives)
    if args.json:
        told = {"machine": machine(), "load": psutil.getloadavg()[0], "console": rest, "devices": lives}
        print(json.dumps(told, indent=2))
    else:
        report(rest, lives, figures)
    return int(any(value > PROMISED[promise][1] for promise, value in figures.items()))


def judged(rest: dict[str, float], lives: dict[int, dict[str, float]]) -> dict[str, float]:
    """The figure of each promise that was measured."""
    first, memory, key, idle, live = PROMISED
    figures: dict[str, float] = {}
    if rest:
        figures |= {first: rest["first_paint_ms"], idle: rest["idle_bytes_s"]}
    if 64 in lives:
        figures[key] = lives[64]["key_p95_ms"]
    if 4 in lives:
        figures[live] = lives[4]["bytes_s"]
    figures[memory] = max(found["memory_mb"] for found in (rest, *lives.values()) if found)
    return {promise: figures[promise] for promise in PROMISED if promise in figures}


def report(rest: dict[str, float], lives: dict[int, dict[str, float]], figures: dict[str, float]) -> None:
    """Two tables for people."""
    print(f"{machine()}, load {psutil.getloadavg()[0]:.1f}\n")
    print("| promise | figure | measured | |\n|---|---|---|---|")
    for promise, value in figures.items():
        unit, limit = PROMISED[promise]
        verdict = "pass" if value <= limit else "falls short"
        print(f"| {promise} | ≤ {limit:g} {unit} | {value:.0f} {unit} | {verdict} |")
    if lives:
        print(
            "\n| devices live | terminal | key p50 / p95 / max ms | CPU of a core | MB | B/s of each pane |"
        )
        print("|---|---|---|---|---|---|")
    for count, found in lives.items():
        size = "x".join(map(str, SIZES[count]))
        spread = " / ".join(f"{found[f'key_{part}_ms']:.0f}" for part in ("p50", "p95", "max"))
        panes = " ".join(f"{found[f'bytes_s_pane_{pane}']:.0f}" for pane in range(1, 5))
        print(f"| {count} | {size} | {spread} | {found['cpu']:.0%} | {found['memory_mb']:.0f} | {panes} |")
    if rest:
        cold, cpu = rest["first_paint_cold_ms"], rest["idle_cpu"]
        print(f"\nidle: {cpu:.1%} of a core; first start of all {cold:.0f} ms")


if __name__ == "__main__":
    sys.exit(main())

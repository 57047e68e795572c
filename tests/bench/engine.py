"""How fast the engine is beside mlx_lm, two ranks on this machine: `python -m tests.bench.engine`.

`--models float32,demo` and `--rows N,N` (as numbered in the table) choose, `--quick` is a quarter of it; with
`--rounds N` all rows take turns so often, and medians count.
Figures of one run compare with one another and with nothing else. Rows name the BLAS each process has and its
threads: `reference` is the one in MLX's wheel, the other what ranks of ours find on the machine or in
EXO_TUI_BLAS.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

import core.worker
from core import config
from core.models import demo
from core.worker import divide, guard
from tests.tiny_models import CONFIGS, build
from tests.worker import cluster
from tests.worker.cluster import Cluster

ANSWER = 64
SHORT = 8  # prompt tokens of the requests that are answered together: how they decode is what is asked
AT_ONCE = (1, 2, 4, 8)
IDLE_S = 3.0
HUNDRED_M = CONFIGS["llama"] | {
    "model_type": "qwen2",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "head_dim": 64,
}
Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One way to run a model."""

    who: str  # mlx_lm or ours
    how: str  # alone, pipeline, tensor; of ours a pipeline is one over sockets or over ring
    blas: bool  # the machine's, not MLX's own
    threads: int = 1
    room: int = 0  # bytes for weights to become float32 in, where that is faster
    pinned: bool = False  # to one core, which never idles: one that does comes back slower

    @property
    def name(self) -> str:
        blas = f"OpenBLAS x{self.threads}" if self.blas else "reference"
        more = ", dequantised" * bool(self.room) + ", one core" * self.pinned
        return f"{self.who}, {self.how}, {blas}{more}"

    @property
    def environment(self) -> Mapping[str, str]:
        found = {"EXO_TUI_BLAS": ""}
        if self.blas:
            found = guard.faster(dict(os.environ)) if self.who == "mlx_lm" else {}
        return {**os.environ, "OPENBLAS_NUM_THREADS": str(self.threads), **found}


ROOM = 2**31
ROWS = [
    Row("mlx_lm", "alone", blas=False),
    Row("mlx_lm", "alone", blas=True),
    Row("mlx_lm", "alone", blas=True, threads=2),
    Row("mlx_lm", "pipeline", blas=False),
    Row("mlx_lm", "pipeline", blas=True),
    Row("mlx_lm", "tensor", blas=True),
    Row("ours", "sockets", blas=False),
    Row("ours", "sockets", blas=True),
    Row("ours", "ring", blas=True),
    # As a rank of ours runs unless told otherwise: as many threads as there are cores.
    Row("mlx_lm", "pipeline", blas=True, threads=2),
    Row("ours", "sockets", blas=True, threads=2),
    Row("ours", "sockets", blas=True, threads=2, room=ROOM),
    Row("ours", "tensor", blas=True),
    Row("ours", "alone", blas=False),
    Row("ours", "alone", blas=True),
    Row("mlx_lm", "alone", blas=True, pinned=True),
    Row("ours", "sockets", blas=True, pinned=True),
    Row("ours", "sockets", blas=True, room=ROOM),
]
COLUMNS = [
    *("decode_tps", "between_ms", "prefill_tps", "ttft_s"),
    *(f"aggregate_tps_{n}" for n in AT_ONCE),
    "idle_cpu",
]
HEADS = ["decode", "between", "prefill", "TTFT s", *(f"all of {n}" for n in AT_ONCE), "idle CPU"]


def beside(row: Row, path: Path, prompt: int, answer: int) -> Figures | str:
    """mlx_lm's own figures, or why it has none."""
    size = 1 if row.how == "alone" else 2
    script = str(Path(__file__).with_name("one_mlx_lm.py"))
    argv = [sys.executable, script, str(path), row.how, str(prompt), str(answer)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as hosts:
        json.dump([[f"127.0.0.1:{port}"] for port in _free(size)], hosts)
        hosts.flush()
        env = {**row.environment, "MLX_HOSTFILE": hosts.name}
        pipe = subprocess.PIPE
        ranks = [
            subprocess.Popen(argv, env=env | {"MLX_RANK": str(rank)}, stdout=pipe, stderr=pipe, text=True)
            for rank in range(size)
        ]
        said = [rank.communicate(timeout=600) for rank in ranks]
    if any(rank.returncode for rank in ranks):
        words = [one[1].strip().splitlines()[-1:] for one in said]
        return " / ".join(one[0][:80] for one in words if one)
    return json.loads(said[0][0])


def _free(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


async def ours(row: Row, path: Path, split: list[int], prompt: int, answer: int) -> Figures:
    """Two ranks of ours, or one alone."""
    before = dict(os.environ)
    os.environ.update(row.environment)
    try:
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder) / "worker"
            shutil.copytree(Path(core.worker.__file__).parent, package)
            layers = sum(split)
            split = {"alone": [layers], "tensor": [layers, layers]}.get(row.how, split)
            made = Cluster(package, Path(folder), path, split, "sockets" if row.how == "sockets" else "ring")
            made.extra = {"room": row.room}
            if row.how == "tensor":
                made.extra |= {"mode": "tensor", "start": 0, "end": layers, "rings": ["127.0.0.1"] * 2}
            async with made as ranks:
                return await _measured(ranks, prompt, answer, () if row.pinned else AT_ONCE)
    finally:
        os.environ.clear()
        os.environ.update(before)


async def _measured(ranks: Cluster, prompt: int, answer: int, at_once: Sequence[int]) -> Figures:
    wish = {"chunk": 128, "ignore_eos": True}
    await ranks.generate(_tokens(prompt, 1), 4, **wish)
    name = ranks.ask(_tokens(prompt, 2), answer, **wish)
    _, done = await ranks.answer(name)
    figures = {name: done[name] for name in ("ttft_s", "prefill_tps", "decode_tps")}
    busy = 0.0  # of one stage after another
    for rank in ranks.ranks if ranks.backend == "sockets" else []:
        timed = await rank.until(lambda one: one["ev"] == "timed" and one["id"] == name)
        busy += timed["decode_s"] / timed["decode_steps"]
        figures["between_ms"] = 1e3 * (1 / done["decode_tps"] - busy)
    for count in at_once:
        began = time.perf_counter()
        asked = [ranks.ask(_tokens(SHORT, 10 * count + i), answer, **wish) for i in range(count)]
        await asyncio.gather(*(ranks.answer(one) for one in asked))
        figures[f"aggregate_tps_{count}"] = count * answer / (time.perf_counter() - began)
    figures["idle_cpu"] = _idle_cpu(ranks)
    return figures


def _idle_cpu(ranks: Cluster) -> float:
    """Cores that all ranks together use while nothing is asked."""
    workers = [psutil.Process(rank.named("hello")[0]["pid"]) for rank in ranks.ranks]

    def spent() -> float:
        return sum(sum(worker.cpu_times()[:2]) for worker in workers)

    before = spent()
    time.sleep(IDLE_S)
    return (spent() - before) / IDLE_S


def _tokens(count: int, seed: int) -> list[int]:
    return [3 + (i * 37 + i * i + seed * 101) % 500 for i in range(count)]


def _goals(found: Mapping[Row, Figures]) -> list[str]:
    """What was to be reached, like compared with like."""

    def line(what: str, value: float | None, goal: float, most: bool = False) -> str:
        if value is None:
            return f"  {'not measured':12} {what}"
        word = "pass" if (value <= goal if most else value >= goal) else "SHORT"
        return f"  {word:12} {what}: {value:.2f}, goal {goal:.2f}"

    def ratio(over: Figures | None, under: Figures | None, of: str, to: str = "") -> float | None:
        return over[of] / under[to or of] if over and under else None

    told = []
    for row, mine in found.items():
        if row.who != "ours" or row.how not in ("sockets", "tensor"):
            continue
        alone, pipeline = (
            found.get(replace(row, who="mlx_lm", how=how, room=0)) for how in ("alone", "pipeline")
        )
        if row.pinned:
            told += [
                f"{row.name}:",
                line("decode beside one process", ratio(mine, alone, "decode_tps"), 0.95),
            ]
            continue
        told += [
            f"goals of {row.name}, against mlx_lm with the same:",
            line("decode beside mlx_lm's pipeline", ratio(mine, pipeline, "decode_tps"), 1.2),
            line("decode beside one process", ratio(mine, alone, "decode_tps"), 0.95),
            line("prefill beside one process", ratio(mine, alone, "prefill_tps"), 1.5),
            line("four requests beside one", ratio(mine, mine, "aggregate_tps_4", "aggregate_tps_1"), 1.7),
            line("cores that idle ranks use", mine["idle_cpu"], 0.01, most=True),
        ]
    return told


async def _figures(row: Row, path: Path, split: list[int], prompt: int, answer: int) -> Figures | str:
    """What a row measures, or why it cannot. `between`: of a token's time, what no stage computes in."""
    if row.blas and not guard.faster(dict(os.environ)):
        return "no OpenBLAS here"
    if row.how == "tensor" and (why := divide.refusal(json.loads((path / "config.json").read_text()), 2)):
        return why
    cores = os.sched_getaffinity(0)
    if row.pinned:
        os.sched_setaffinity(0, {min(cores)})
    try:
        if row.who == "mlx_lm":
            return beside(row, path, prompt, answer)
        return await ours(row, path, split, prompt, answer)
    finally:
        os.sched_setaffinity(0, cores)


def _line(row: Row, figures: Figures) -> str:
    cells = (f"{figures[one]:9.2f}" if one in figures else f"{'':9}" for one in COLUMNS)
    return f"{ROWS.index(row) + 1:2} {row.name:36}" + "".join(cells)


async def main() -> None:
    """Print a table a model, and which goals were reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default="float32,demo")
    parser.add_argument("--rows", default=",".join(map(str, range(1, len(ROWS) + 1))))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    answer = 16 if args.quick else ANSWER
    with tempfile.TemporaryDirectory() as folder:
        for name in args.models.split(","):
            if name == "demo":
                # Quantised prefill on a CPU makes 11 tokens a second.
                # As the planner splits it: the head for its 49,152 words weighs as much as some layers.
                path, split, prompt = await demo.ensure(config.load().cache, print), [17, 13], 100
                about = "SmolLM2-135M, 4-bit"
            else:
                CONFIGS["hundred_m"] = HUNDRED_M
                path, split, prompt = build("hundred_m", Path(folder) / "hundred_m"), [6, 6], 1000
                about = "random 100 M, float32"
            prompt = prompt // 4 if args.quick else prompt
            print(f"\n{about}: {prompt} prompt tokens, {answer} answered, tok/s")
            print(f"{'':39}" + "".join(f"{one:>9}" for one in HEADS))
            found: dict[Row, list[Figures]] = {}
            for row in [ROWS[int(at) - 1] for at in args.rows.split(",")] * args.rounds:
                said = await _figures(row, path, split, prompt, answer)
                if isinstance(said, str):
                    print(f"{ROWS.index(row) + 1:2} {row.name:36} not possible: {said}", flush=True)
                    continue
                found.setdefault(row, []).append(said)
                print(_line(row, said), flush=True)
            medians = {row: _medians(all_of) for row, all_of in found.items()}
            if args.rounds > 1:
                print("medians:", *(_line(row, one) for row, one in medians.items()), sep="\n")
            print("\n".join(_goals(medians)), flush=True)


def _medians(rounds: list[Figures]) -> Figures:
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


if __name__ == "__main__":
    cluster.LIMIT = 900.0
    asyncio.run(main())

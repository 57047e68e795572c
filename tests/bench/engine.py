"""How fast the engine is beside mlx_lm, two ranks on this machine: `python -m tests.bench.engine`.

`--models float32,demo` and `--rows N,N` (as numbered in the table) choose, `--quick` is a quarter of it.
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
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

import core.worker
from core import config
from core.models import demo
from core.worker import guard
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
    how: str  # alone, pipeline, tensor; sockets, ring
    blas: bool  # the machine's, not MLX's own
    threads: int = 1
    room: int = 0  # bytes for weights to become float32 in, where that is faster

    @property
    def name(self) -> str:
        blas = f"OpenBLAS x{self.threads}" if self.blas else "reference"
        return f"{self.who}, {self.how}, {blas}{', dequantised' * bool(self.room)}"

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
]
COLUMNS = ["decode_tps", "prefill_tps", "ttft_s", *(f"aggregate_tps_{n}" for n in AT_ONCE), "idle_cpu"]
HEADS = ["decode", "prefill", "TTFT s", *(f"all of {n}" for n in AT_ONCE), "idle CPU"]


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
    """Two ranks of ours."""
    before = dict(os.environ)
    os.environ.update(row.environment)
    try:
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder) / "worker"
            shutil.copytree(Path(core.worker.__file__).parent, package)
            made = Cluster(package, Path(folder), path, split, row.how)
            made.extra = {"room": row.room}
            async with made as ranks:
                return await _measured(ranks, prompt, answer)
    finally:
        os.environ.clear()
        os.environ.update(before)


async def _measured(ranks: Cluster, prompt: int, answer: int) -> Figures:
    wish = {"chunk": 128, "ignore_eos": True}
    await ranks.generate(_tokens(prompt, 1), 4, **wish)
    _, done = await ranks.generate(_tokens(prompt, 2), answer, **wish)
    figures = {name: done[name] for name in ("ttft_s", "prefill_tps", "decode_tps")}
    for count in AT_ONCE:
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
    """What was to be reached over sockets, like compared with like."""

    def line(what: str, value: float | None, goal: float, most: bool = False) -> str:
        if value is None:
            return f"  {'not measured':12} {what}"
        word = "pass" if (value <= goal if most else value >= goal) else "SHORT"
        return f"  {word:12} {what}: {value:.2f}, goal {goal:.2f}"

    def ratio(over: Figures | None, under: Figures | None, of: str, to: str = "") -> float | None:
        return over[of] / under[to or of] if over and under else None

    told = []
    for blas, threads in ((False, 1), (True, 1), (True, 2)):
        mine, alone, pipeline = (
            found.get(Row(who, how, blas, threads))
            for who, how in (("ours", "sockets"), ("mlx_lm", "alone"), ("mlx_lm", "pipeline"))
        )
        if mine is None:
            continue
        told += [
            f"goals with {f'OpenBLAS x{threads}' if blas else 'the reference BLAS'} in every process:",
            line("decode beside mlx_lm's pipeline", ratio(mine, pipeline, "decode_tps"), 1.2),
            line("decode beside one process", ratio(mine, alone, "decode_tps"), 0.95),
            line("prefill beside one process", ratio(mine, alone, "prefill_tps"), 1.5),
            line("four requests beside one", ratio(mine, mine, "aggregate_tps_4", "aggregate_tps_1"), 1.7),
            line("cores that idle ranks use", mine["idle_cpu"], 0.01, most=True),
        ]
    return told


async def main() -> None:
    """Print a table a model, and which goals were reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default="float32,demo")
    parser.add_argument("--rows", default=",".join(map(str, range(1, len(ROWS) + 1))))
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
            print(f"{'':38}" + "".join(f"{one:>9}" for one in HEADS))
            found: dict[Row, Figures] = {}
            said: Figures | str
            for at in map(int, args.rows.split(",")):
                row = ROWS[at - 1]
                if row.blas and not guard.faster(dict(os.environ)):
                    print(f"{at} {row.name:36} no OpenBLAS here")
                    continue
                mine = row.who == "ours"
                said = (
                    await ours(row, path, split, prompt, answer)
                    if mine
                    else beside(row, path, prompt, answer)
                )
                if isinstance(said, str):
                    print(f"{at} {row.name:36} not possible: {said}", flush=True)
                    continue
                found[row] = said
                cells = (f"{said[one]:9.2f}" if one in said else f"{'':9}" for one in COLUMNS)
                print(f"{at} {row.name:36}" + "".join(cells), flush=True)
            print("\n".join(_goals(found)), flush=True)


if __name__ == "__main__":
    cluster.LIMIT = 900.0
    asyncio.run(main())

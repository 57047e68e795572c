"""How fast the engine is beside mlx_lm, all in one run: `python -m tests.bench.engine [--quick]`.

Two ranks on this machine. Figures of one run compare with one another and with nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

import core.worker
from core import config
from core.models import demo
from tests.tiny_models import CONFIGS, build
from tests.worker import cluster
from tests.worker.cluster import Cluster

ANSWER = 64
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


def beside(path: Path, mode: str, prompt: int, answer: int) -> dict[str, float] | str:
    """mlx_lm's own figures, or why it has none."""
    size = 1 if mode == "alone" else 2
    script = str(Path(__file__).with_name("one_mlx_lm.py"))
    argv = [sys.executable, script, str(path), mode, str(prompt), str(answer)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as hosts:
        json.dump([[f"127.0.0.1:{port}"] for port in _free(size)], hosts)
        hosts.flush()
        env = os.environ | {"MLX_HOSTFILE": hosts.name}
        pipe = subprocess.PIPE
        ranks = [
            subprocess.Popen(argv, env=env | {"MLX_RANK": str(rank)}, stdout=pipe, stderr=pipe, text=True)
            for rank in range(size)
        ]
        said = [rank.communicate(timeout=600) for rank in ranks]
    if any(rank.returncode for rank in ranks):
        return said[0][1].strip().splitlines()[-1][:80]
    return json.loads(said[0][0])


def _free(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


async def ours(path: Path, layers: int, backend: str, prompt: int, answer: int) -> dict[str, float]:
    """Two ranks of ours, an even split."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "worker"
        shutil.copytree(Path(core.worker.__file__).parent, package)
        async with Cluster(
            package, Path(folder), path, [layers // 2, layers - layers // 2], backend
        ) as ranks:
            long = {"chunk": 128, "ignore_eos": True}
            await ranks.generate(_tokens(prompt, 1), 4, **long)
            _, done = await ranks.generate(_tokens(prompt, 2), answer, **long)
            figures = {name: done[name] for name in ("ttft_s", "prefill_tps", "decode_tps")}
            for count in AT_ONCE:
                began = time.perf_counter()
                asked = [ranks.ask(_tokens(32, 10 * count + i), answer, **long) for i in range(count)]
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


def _row(name: str, figures: dict[str, float] | str) -> str:
    if isinstance(figures, str):
        return f"{name:28} not possible: {figures}"
    columns = ["decode_tps", "prefill_tps", "ttft_s", *(f"aggregate_tps_{n}" for n in AT_ONCE), "idle_cpu"]
    cells = (f"{figures[one]:10.2f}" if one in figures else f"{'':10}" for one in columns)
    return f"{name:28}" + "".join(cells)


async def main() -> None:
    """Print a table a model."""
    quick = "--quick" in sys.argv
    answer = 16 if quick else ANSWER
    heads = ["decode", "prefill", "TTFT s", *(f"all of {n}" for n in AT_ONCE), "idle CPU"]
    with tempfile.TemporaryDirectory() as folder:
        CONFIGS["hundred_m"] = HUNDRED_M
        hundred = build("hundred_m", Path(folder) / "hundred_m")
        smol = await demo.ensure(config.load().cache, print)
        # Quantised prefill on a CPU makes 11 tokens a second.
        models = [("random 100 M, float32", hundred, 12, 1000), ("SmolLM2-135M, 4-bit", smol, 30, 100)]
        for name, path, layers, prompt in models:
            prompt = prompt // 4 if quick else prompt
            print(f"\n{name}: {prompt} prompt tokens, {answer} answered, tok/s")
            print(f"{'':28}" + "".join(f"{one:>10}" for one in heads))
            print(_row("mlx_lm, one process", beside(path, "alone", prompt, answer)), flush=True)
            for mode in ("pipeline", "tensor"):
                print(_row(f"mlx_lm, {mode}, 2 ranks", beside(path, mode, prompt, answer)), flush=True)
            for backend in ("sockets", "ring"):
                figures = await ours(path, layers, backend, prompt, answer)
                print(_row(f"ours, {backend}, 2 ranks", figures), flush=True)


if __name__ == "__main__":
    cluster.LIMIT = 900.0
    asyncio.run(main())

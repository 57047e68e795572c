"""Every family, cut at random into processes, against mlx_lm in one: `python -m tests.worker.parity`.

Greedy tokens of a short prompt, of one of 600 tokens, and of five requests of different lengths that join and
leave. `--families a,b`, `--ranks 2,4`, `--splits N` and `--seed N` choose; without them the run takes an hour
on two cores. The suite runs some of it. With `--dequantise`, ranks may make quantised weights float32.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import mlx.core as mx
from mlx_lm.generate import generate_step
from mlx_lm.utils import load_model

import core.worker
from core import config
from core.models import demo
from core.worker.layers import layers_of
from tests.tiny_models import EOS, build
from tests.worker import cluster
from tests.worker.cluster import Cluster

FAMILIES = (
    "llama,qwen3,qwen3_moe,gpt_oss,deepseek_v3,llama_q4,llama_wide_q4,gemma3_text,gemma4,qwen3_next,mamba2,"
    "nemotron_h,cohere2,mixtral,phi3,rwkv7,demo"
)
SHORT = [3 + (i * 37 + i * i) % 500 for i in range(45)]
LONG = [3 + (i * 41 + i * i) % 500 for i in range(600)]
FIVE = [(SHORT, 32), (SHORT[:7], 10), (SHORT[10:40], 24), ([5, 6], 16), (SHORT[3:] + SHORT, 5)]
TOGETHER = {"gemma4": 3}  # so many layers at its end share keys and values: no cut among them

ROOM = 2**33  # bytes
Ask = Callable[[Sequence[int], int], list[int]]


def reference(path: Path, free: bool) -> Ask:
    """What mlx_lm says by itself; if not `free`, up to the end of sequence."""
    whole, _ = load_model(path)
    ends = set() if free else {EOS}

    @cache
    def ask(prompt: tuple[int, ...], count: int) -> list[int]:
        steps = generate_step(mx.array(prompt), whole, max_tokens=count, prefill_step_size=64)
        return list(itertools.takewhile(lambda one: one not in ends, (int(token) for token, _ in steps)))

    return lambda prompt, count: ask(tuple(prompt), count)


async def check(
    package: Path, path: Path, split: list[int], expected: Ask, *, free: bool, dequantise: bool
) -> str:
    """What was not as expected; "" if nothing. `free`: end-of-sequence ids are tokens like others."""
    wrong = []
    with tempfile.TemporaryDirectory() as logs:
        ranks = Cluster(package, Path(logs), path, split)
        ranks.extra = {"room": ROOM * dequantise}
        async with ranks:
            wish = {"chunk": 64, "ignore_eos": free}
            for name, prompt, count in (("short", SHORT, 32), ("long", LONG, 16)):
                if (await ranks.generate(prompt, count, **wish))[0] != expected(prompt, count):
                    wrong.append(name)
            asked = [ranks.ask(*FIVE[0], **wish), ranks.ask(*FIVE[1], **wish)]
            await ranks.answer(asked[1])
            asked += [ranks.ask(*one, **wish) for one in FIVE[2:]]
            for at, (name, one) in enumerate(zip(asked, FIVE, strict=True)):
                if (await ranks.answer(name))[0] != expected(*one):
                    wrong.append(f"{at + 1} of 5")
    return ", ".join(wrong)


async def main() -> int:
    """Print a line a cut; how many were wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--families", default=FAMILIES)
    parser.add_argument("--ranks", default="1,2,3,4")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dequantise", action="store_true")
    args = parser.parse_args()
    mx.disable_compile()
    failed = done = 0
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "worker"
        shutil.copytree(Path(core.worker.__file__).parent, package)
        for name in args.families.split(","):
            own = name == "demo"
            made = await demo.ensure(config.load().cache, print) if own else build(name, Path(folder) / name)
            layers = len(layers_of(load_model(made, lazy=True)[0]))
            expected = reference(made, own)
            for prompt, count in ((SHORT, 32), (LONG, 16), *FIVE):
                expected(prompt, count)  # before there are ranks, whose lease would run out meanwhile
            for ranks in map(int, args.ranks.split(",")):
                chance = random.Random(f"{args.seed}{name}{ranks}")
                places = list(itertools.combinations(range(1, layers - TOGETHER.get(name, 0)), ranks - 1))
                for cuts in chance.sample(places, min(args.splits, len(places))):
                    split = [high - low for low, high in itertools.pairwise([0, *cuts, layers])]
                    began = time.monotonic()
                    how = {"free": own, "dequantise": args.dequantise}
                    wrong = await check(package, made, split, expected, **how)
                    failed += bool(wrong)
                    done += 1
                    took = f"{time.monotonic() - began:.0f} s"
                    print(f"{'WRONG' if wrong else 'same ':5} {name} {split} {wrong} {took}", flush=True)
    print(f"{done - failed} of {done} the same")
    return failed


if __name__ == "__main__":
    cluster.LIMIT = 900.0  # four ranks of one after the other, on a machine with other things to do
    raise SystemExit(min(1, asyncio.run(main())))

"""mlx_lm by itself, to compare with: one process, or its own pipeline or tensor parallelism over MLX's ring.

Run as `python one_mlx_lm.py MODEL alone|pipeline|tensor PROMPT_TOKENS ANSWER_TOKENS [ANSWERS]`; rank 0 prints
one JSON object, of medians. Ranks are named by MLX_HOSTFILE and MLX_RANK, as MLX wants it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import mlx.core as mx
from mlx_lm.generate import generate_step
from mlx_lm.utils import load_model


def main(path: str, mode: str, prompt_tokens: int, answer_tokens: int, answers: int = 1) -> None:
    """Measure TTFT, prefill and decode of greedy answers, after one to warm up."""
    mx.disable_compile()
    group = None if mode == "alone" else mx.distributed.init(strict=True, backend="ring")
    model, _ = load_model(Path(path), lazy=group is not None)
    if group is not None:
        if mode == "pipeline":
            model.model.pipeline(group)
        else:
            model.shard(group)
        mx.eval(model.parameters())
        model.eval()
        mx.eval(mx.distributed.all_sum(mx.array(1.0)))
    vocabulary = 500
    prompt = mx.array([3 + (i * 37 + i * i) % vocabulary for i in range(prompt_tokens)])
    seen: list[dict[str, float]] = []
    for measured in range(answers + 1):
        began = time.perf_counter()
        times = []
        # To the end: a step that nobody waits for would leave the ranks out of step.
        for _ in generate_step(
            prompt, model, max_tokens=answer_tokens if measured else 4, prefill_step_size=128
        ):
            times.append(time.perf_counter())
        if group is not None:  # nor may one leave before the other has all it needs of it
            mx.eval(mx.distributed.all_sum(mx.array(1.0)))
        ttft = times[0] - began
        figures = {
            "ttft_s": ttft,
            "prefill_tps": prompt_tokens / ttft,
            "decode_tps": (len(times) - 1) / (times[-1] - times[0]),
        }
        seen += [figures] * bool(measured)
    if group is None or group.rank() == 0:
        print(json.dumps({name: statistics.median(one[name] for one in seen) for name in seen[0]}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))

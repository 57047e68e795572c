"""What mlx_lm says in one process, greedily: `one_process.py MODEL PROMPT COUNT` prints the token ids.

A process of its own, because it holds the whole model, and because compilation is turned off for good.
"""

from __future__ import annotations

import json
import sys

import mlx.core as mx
from mlx_lm import load
from mlx_lm.generate import generate_step


def main(path: str, prompt: str, count: int) -> None:
    mx.disable_compile()  # as the workers do on a CPU: fused kernels round differently
    model, tokenizer = load(path)[:2]
    turn = {"role": "user", "content": prompt}
    asked = tokenizer.apply_chat_template([turn], add_generation_prompt=True)
    ids: list[int] = []
    for token, _ in generate_step(mx.array(asked), model, max_tokens=count):
        if token in tokenizer.eos_token_ids:
            break
        ids.append(int(token))
    print(json.dumps(ids))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

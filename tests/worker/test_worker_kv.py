"""Keys and values kept in fewer bits: what mlx_lm says when it keeps them so, or a refusal by name."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm.generate import generate_step
from mlx_lm.utils import load_model

from core.worker.stage import BadModel, Stage
from tests.families import CONFIGS
from tests.worker.conftest import PROMPT
from tests.worker.split import write

COUNT = 32


def _mlx_lm(path: Path, prompt: list[int], bits: int) -> list[int]:
    mx.disable_compile()
    whole, _ = load_model(path)
    wish = {"kv_bits": bits, "kv_group_size": 32, "quantized_kv_start": 0}
    steps = generate_step(mx.array(prompt), whole, max_tokens=COUNT, prefill_step_size=16, **wish)
    return [int(token) for token, _ in steps]


@pytest.mark.parametrize(("name", "split", "bits"), [("qwen3", [2, 3, 1], 4), ("llama_wide_q4", [6], 8)])
async def test_answers_are_those_of_mlx_lms_own_quantised_cache(name, split, bits, cluster, alone) -> None:
    ranks = cluster(name, split)
    ranks.extra = {"kv_bits": bits}
    expected = _mlx_lm(ranks.model, PROMPT, bits)
    other = _mlx_lm(ranks.model, PROMPT[:9], bits)
    assert bits > 4 or expected != alone(name, COUNT), "so few bits must show"
    async with ranks:
        asked = [ranks.ask(PROMPT, COUNT, ignore_eos=True), ranks.ask(PROMPT[:9], COUNT, ignore_eos=True)]
        assert (await ranks.answer(asked[0]))[0] == expected
        assert (await ranks.answer(asked[1]))[0] == other
        again, done = await ranks.generate(PROMPT, COUNT, ignore_eos=True)
        assert again == expected
        assert done["reused_tokens"] == len(PROMPT) - 1


@pytest.mark.parametrize(
    ("name", "span", "reason"),
    [
        ("gpt_oss", (0, 2), "mlx-lm does not quantise the cache of a sliding window"),
        ("mamba2", (2, 4), "it has no cache of keys and values by themselves"),
        ("deepseek_v3", (0, 4), "deepseek_v3 cannot keep its KV cache in 8 bits"),
        ("llama", (1, 3), "needs to be divisible by the quantization group size"),
    ],
)
def test_what_cannot_be_quantised_is_refused_by_name(name, span, reason, tmp_path: Path) -> None:
    path = write(CONFIGS[name], tmp_path / "model")
    with pytest.raises(BadModel) as refusal:
        Stage(path, *span, lambda *_: None, kv_bits=8)
    assert name in str(refusal.value)
    assert reason in str(refusal.value)

"""Ranks that share every layer say what one process says."""

from __future__ import annotations

import asyncio
import importlib
import os
import pkgutil
import signal
from typing import Any

import mlx_lm.models
import mlx_lm.utils
import pytest

from core.worker.divide import FAMILIES as FAMILIES_DIVIDED
from core.worker.divide import refusal
from tests import families
from tests.tiny_models import CONFIGS
from tests.worker.conftest import PROMPT

# Every family with `shard` whose tiny configuration two ranks can share.
FAMILIES = [
    "llama",
    "qwen3_moe",
    "gpt_oss",
    "deepseek_v3",
    "llama_wide_q4",
    "qwen2",
    "qwen3",
    "glm4_moe",
    "glm4_moe_lite",
    "deepseek_v32",
    "minimax",
    "ministral3",
    "exaone_moe",
    "longcat_flash",
    "qwen3_5",
]


PROMPTS = [PROMPT, PROMPT[:7], PROMPT[10:40], [5, 6]]
COUNTS = [40, 12, 24, 16]


def _sharing(ranks, size: int, layers: int = 6):
    ranks.split, ranks.backend = [layers] * size, "ring"
    ranks.extra = {"mode": "tensor", "start": 0, "end": layers, "rings": ["127.0.0.1"] * size}
    return ranks


def _layers(name: str) -> int:
    return CONFIGS[name]["num_hidden_layers"] if name in CONFIGS else families.LAYERS


@pytest.mark.parametrize("name", FAMILIES)
async def test_two_ranks_say_what_one_says(name: str, cluster, alone) -> None:
    async with _sharing(cluster(name, []), 2, _layers(name)) as ranks:
        assert (await ranks.generate(PROMPT, 24))[0] == alone(name, 24)
        # 33 tokens before the last, in chunks of 16, 16 and 1: one token that is not to be answered.
        short = PROMPT[:34]
        assert (await ranks.generate(short, 8))[0] == alone(name, 8, tuple(short))


async def test_four_ranks_with_a_head_each(cluster, alone) -> None:
    async with _sharing(cluster("deepseek_v3", []), 4) as ranks:
        assert (await ranks.generate(PROMPT, 8))[0] == alone("deepseek_v3", 8)


async def test_requests_that_join_leave_and_come_back(cluster, alone) -> None:
    async with _sharing(cluster("llama", []), 2) as ranks:
        asked = [ranks.ask(PROMPTS[0], COUNTS[0]), ranks.ask(PROMPTS[1], COUNTS[1])]
        await ranks.answer(asked[1])
        asked += [ranks.ask(*pair) for pair in zip(PROMPTS[2:], COUNTS[2:], strict=True)]
        answers = await asyncio.gather(*(ranks.answer(one) for one in asked))
        for (ids, _), prompt, count in zip(answers, PROMPTS, COUNTS, strict=True):
            assert ids == alone("llama", count, tuple(prompt))
        cut = ranks.ask(PROMPT[::-1], 3000)
        await ranks.ranks[0].until(lambda event: event["ev"] == "tokens" and event["id"] == cut)
        for rank in ranks.ranks:
            rank.send("cancel", id=cut)
        assert (await ranks.answer(cut))[1]["why"] == "cancel"
        ids, done = await ranks.generate(PROMPT, 12)
        assert ids == alone("llama", 12)
        assert done["reused_tokens"] == len(PROMPT) - 1
        assert (await ranks.generate(PROMPT, 6, temperature=0.9, seed=3))[1]["tokens"] == 6


async def test_each_holds_a_part_and_never_the_whole(cluster) -> None:
    async with cluster("llama", [6]) as ranks:
        whole = ranks.ranks[0].named("loaded")[0]["weights"]
    async with _sharing(cluster("llama", []), 2) as ranks:
        ends = 2 * 512 * 96 * 4  # embedding and head, which both have
        for rank in ranks.ranks:
            [loaded] = rank.named("loaded")
            assert loaded["weights"] < 0.52 * (whole - ends) + ends
            assert loaded["peak"] < 1.15 * loaded["weights"]


@pytest.mark.parametrize(
    ("name", "groups", "layers"),
    [
        ("llama", [2, 2], [4, 2]),
        ("qwen3_moe", [2, 1], [1, 5]),
        ("gpt_oss", [1, 2], [3, 3]),
        ("llama_wide_q4", [1, 2, 1], [1, 4, 1]),
    ],
    ids=str,
)
async def test_a_pipeline_of_groups(name, groups, layers, cluster, alone) -> None:
    ranks = cluster(name, [])
    ranks.split, ranks.backend = [0] * sum(groups), "ring"
    ranks.extra = {"mode": "tensor", "groups": groups, "rings": ["127.0.0.1"] * sum(groups)}
    at = 0
    for count, held in zip(groups, layers, strict=True):
        ranks.each += [{"start": at, "end": at + held}] * count
        at += held
    async with ranks:
        assert (await ranks.generate(PROMPT, 24))[0] == alone(name, 24)
        asked = [ranks.ask(*pair) for pair in zip(PROMPTS[1:], COUNTS[1:], strict=True)]
        for one, prompt, count in zip(asked, PROMPTS[1:], COUNTS[1:], strict=True):
            assert (await ranks.answer(one))[0] == alone(name, count, tuple(prompt))


async def test_a_killed_rank_ends_the_others(cluster) -> None:
    async with _sharing(cluster("llama", []), 2) as ranks:
        name = ranks.ask(PROMPT, 3000)
        await ranks.ranks[0].until(lambda event: event["ev"] == "tokens" and event["id"] == name)
        os.kill(ranks.ranks[1].named("hello")[0]["pid"], signal.SIGKILL)
        assert (await ranks.ranks[0].ev("exit"))["code"] == 3
        assert "lost rank 1" in (await ranks.ranks[0].ev("error"))["text"]


async def test_stop_ends_every_rank_in_the_midst_of_an_answer(cluster) -> None:
    async with _sharing(cluster("llama", []), 2) as ranks:
        name = ranks.ask(PROMPT, 3000)
        await ranks.ranks[0].until(lambda event: event["ev"] == "tokens" and event["id"] == name)
        for rank in ranks.ranks:
            rank.send("stop")
        for rank in ranks.ranks:
            assert (await rank.ev("exit"))["code"] == 0
            assert not rank.named("error")


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        ("llama", 3, "llama has num_attention_heads 4, which 3 ranks cannot share evenly"),
        ("llama_q4", 2, "llama has the width of all heads 96, not 2 times whole groups of 32 packed weights"),
        ("gemma3_text", 2, "gemma3_text: mlx-lm cannot divide its layers among ranks"),
    ],
)
async def test_what_cannot_be_shared_is_refused_with_the_reason(name, size, reason, cluster) -> None:
    ranks = _sharing(cluster(name, []), size, _layers(name))
    await ranks.listen()
    token = "00" * 32
    for rank in ranks.ranks:
        rank.send("connect", peers=[["127.0.0.1", port] for port in ranks.ports], token=token)
    for rank in ranks.ranks:
        error = await rank.ev("error")
        assert (error["phase"], error["kind"]) == ("load", "refused")
        assert error["text"] == f"Unsplittable: {reason}"
    await ranks.__aexit__()


@pytest.mark.parametrize(
    ("change", "size", "reason"),
    [
        ({}, 2, ""),
        ({}, 4, "num_key_value_heads 2"),
        ({"num_attention_heads": 5}, 2, "num_attention_heads 5"),  # mlx-lm: garbage without an error
        ({"num_key_value_heads": 1}, 2, "num_key_value_heads 1"),
        ({"kv_lora_rank": 16, "num_key_value_heads": 1}, 2, ""),
        ({"model_type": "deepseek_v41", "num_key_value_heads": 1}, 2, ""),
        ({"model_type": "deepseek_v41", "num_key_value_heads": 1, "o_groups": 3}, 2, "o_groups 3"),
        ({"moe_intermediate_size": 33}, 2, "moe_intermediate_size 33"),
        ({"text_config": {"linear_num_key_heads": 3}}, 2, "linear_num_key_heads 3"),
        ({"quantization": {"group_size": 64, "bits": 4}}, 2, "intermediate_size 192"),
        ({"quantization": {"group_size": 32, "bits": 4}}, 2, ""),
        ({"quantization": {"group_size": 32, "x": {"group_size": 64}}}, 2, "intermediate_size 192"),
        ({"num_attention_heads": [4, 3]}, 2, "num_attention_heads 3"),
    ],
    ids=str,
)
def test_divisibility_is_known_before_anything_is_loaded(
    change: dict[str, Any], size: int, reason: str
) -> None:
    said = refusal(CONFIGS["qwen3"] | change, size)
    assert (reason in said) if reason else said == ""


def test_the_families_that_can_be_divided_are_those_mlx_lm_divides() -> None:
    known = set(mlx_lm.utils.MODEL_REMAPPING)
    known |= {module.name for module in pkgutil.iter_modules(mlx_lm.models.__path__)} - {"olmo"}  # exits
    able = set()
    for name in known:
        module = importlib.import_module(f"mlx_lm.models.{mlx_lm.utils.MODEL_REMAPPING.get(name, name)}")
        if hasattr(getattr(module, "Model", None), "shard"):
            able.add(name)
    assert able == FAMILIES_DIVIDED

"""However a model is spread over the rehearsed devices, it says what one process says."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import msgspec
import pytest

from core.circumstances import hosts
from core.wish import Wish
from tests.e2e.conftest import COUNT, PROMPT
from tests.e2e.rehearsed import rehearsed

CASES = [
    ("demo", "10,12,8", "sockets"),
    ("qwen3", "1,5", "ring"),
    ("qwen3_moe", "1,3,2", "sockets"),
    ("gpt_oss", "4,2", "sockets"),
    ("deepseek_v3", "2,4", "sockets"),
]
"""Each by a command of its own."""
SPLITS = {
    "demo": [
        ("30", "sockets"),
        ("7,23", "sockets"),
        ("22,8", "ring"),
        ("1,28,1", "ring"),
        ("12,1,14,3", "sockets"),
    ],
    "llama": [("1,2,1,2", "ring"), ("5,1", "sockets")],
}
"""One after the other on the same devices."""


def _run(exo, model: str, path, *args: object) -> dict:
    """The JSON of one greedy run of `model`."""
    named = model if model == "demo" else path
    asked = ("--prompt", PROMPT, "--max-tokens", COUNT, "--temp", 0, "--json")
    return exo.run("run", named, *asked, *args).json


@pytest.mark.parametrize(("model", "split", "backend"), CASES)
def test_tokens_are_those_of_one_process(model, split, backend, exo, directory, alone) -> None:
    layers = [int(part) for part in split.split(",")]
    said = _run(
        exo, model, directory(model), "--demo-devices", len(layers), "--split", split, "--backend", backend
    )
    assert said["tokens"] == alone(model)
    assert (said["split"], said["backend"]) == (layers, backend)
    _figures_are_whole(said)
    _every_layer_is_held_once(said["certificate"], layers)
    posts = [(held["device"], held["start"], held["end"]) for held in said["certificate"]["held"]]
    assert [(rank["device"], rank["start"], rank["end"]) for rank in said["ranks"]] == posts


@pytest.mark.timeout(360)
@pytest.mark.parametrize("model", SPLITS)
async def test_tokens_are_those_of_one_process_plan_after_plan(
    model, directory, alone, tmp_path: Path
) -> None:
    async with rehearsed(directory(model), 4, tmp_path, everywhere=True, max_tokens=COUNT) as live:
        state = live.bus.state
        for split, backend in SPLITS[model]:
            layers = tuple(int(part) for part in split.split(","))
            plan = Wish(split=layers, backend=backend).plan(state.model, hosts(state))
            live.cluster.take(plan)
            live.cluster.relaunch()
            state = await live.until(
                lambda state, plan=plan: (
                    state.run and state.run.ready and state.run.plan.stages == plan.stages
                ),
                f"a run of {split}",
            )
            answer = await live.answered(await live.asked(PROMPT))
            assert list(answer.ids) == alone(model), split
            assert (state.run.plan.split, state.run.plan.backend) == (layers, backend)
            _every_layer_is_held_once(msgspec.to_builtins(state.run.certificate), list(layers))


def test_a_tensor_group_says_what_one_process_says(exo, directory, alone) -> None:
    said = _run(exo, "llama", directory("llama"), "--demo-devices", 2, "--mode", "tensor")
    assert said["tokens"] == alone("llama")
    assert (said["split"], said["backend"]) == ([6], "ring")
    _figures_are_whole(said)
    _held_in_shares(said, [("demo-a", 0, 6, 0, 2), ("demo-b", 0, 6, 1, 2)])


def test_a_pipeline_of_groups_says_what_one_process_says(exo, directory, alone) -> None:
    asked = ("--demo-devices", 3, "--split", "2,4", "--on", "demo-c,demo-b+demo-a")
    said = _run(exo, "qwen3_moe", directory("qwen3_moe"), *asked)
    assert said["tokens"] == alone("qwen3_moe")
    assert (said["split"], said["backend"]) == ([2, 4], "ring")
    _figures_are_whole(said)
    _held_in_shares(said, [("demo-c", 0, 2, 0, 1), ("demo-b", 2, 6, 0, 2), ("demo-a", 2, 6, 1, 2)])


def _held_in_shares(said: dict, posts: list[tuple]) -> None:
    fields = ("device", "start", "end", "part", "parts")
    for reported in (said["ranks"], said["certificate"]["held"]):
        assert [tuple(rank[field] for field in fields) for rank in reported] == posts


def test_on_names_the_devices_in_order(exo, directory, alone) -> None:
    names = ["demo-c", "demo-a"]
    said = _run(
        exo, "llama", directory("llama"), "--demo-devices", 3, "--split", "2,4", "--on", ",".join(names)
    )
    assert said["tokens"] == alone("llama")
    assert [rank["device"] for rank in said["ranks"]] == names


def test_a_seed_decides_whatever_the_split(exo, directory, alone) -> None:
    asked = ("--prompt", PROMPT, "--max-tokens", COUNT, "--temp", 0.8, "--seed", 7, "--json")
    said = [
        exo.run("run", directory("llama"), "--demo-devices", 2, "--split", split, *asked).json["tokens"]
        for split in ("3,3", "5,1")
    ]
    assert said[0] == said[1] != alone("llama")


def _figures_are_whole(said: dict) -> None:
    assert said["text"].strip()
    assert said["finish"] == ("length" if len(said["tokens"]) == COUNT else "stop")
    assert said["prompt_tokens"] > 0
    for figure in ("ttft_s", "prefill_tps", "decode_tps", "launch_s"):
        assert said[figure] > 0, figure
    for rank in said["ranks"]:
        assert rank["peak"] >= rank["weights"] > 0
        assert rank["active"] > 0
        assert rank["compute_s"] > 0
        assert rank["wait_s"] >= 0
        assert rank["steps"] >= len(said["tokens"])
    if len(said["split"]) > 1:
        assert all(rank["wait_s"] > 0 for rank in said["ranks"])


def _every_layer_is_held_once(certificate: dict, layers: list[int]) -> None:
    ends = list(accumulate(layers))
    ranges = list(zip([0, *ends[:-1]], ends, strict=True))
    assert certificate["layers"] == ends[-1]
    assert [(held["start"], held["end"]) for held in certificate["held"]] == ranges
    assert len({held["digest"] for held in certificate["held"]}) == len(layers)
    assert all(len(certificate[hashed]) == 64 for hashed in ("plan_sha256", "held_sha256"))

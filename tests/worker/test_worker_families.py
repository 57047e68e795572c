"""Every family there is a tiny configuration of, cut into stages: bit for bit what the whole model says."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from mlx_lm.utils import load_model

from core.worker.layers import Unsplittable, layers_of
from core.worker.stage import Stage
from core.worker.whole import whole
from tests.families import BASE, CONFIGS, KIMI_K3
from tests.worker.conftest import PROMPT
from tests.worker.split import difference, write

QUANTISED = [
    ("llama", 4, "affine"),
    ("qwen3_moe", 8, "affine"),
    ("gpt_oss", 4, "mxfp4"),
    ("deepseek_v3", 4, "affine"),
    ("gemma4", 4, "affine"),
    ("qwen3_next", 8, "mxfp8"),
]


@pytest.mark.parametrize("name", CONFIGS)
def test_three_stages_give_the_logits_of_the_whole(name: str, tmp_path: Path) -> None:
    split, off, merged = difference(CONFIGS[name], tmp_path / "model")
    assert len(split) == 3
    assert off == 0
    assert merged < 1e-4


@pytest.mark.parametrize(("name", "bits", "mode"), QUANTISED, ids=str)
def test_quantised_ones_too(name: str, bits: int, mode: str, tmp_path: Path) -> None:
    # Twice as wide: rows are packed in groups of 32.
    wide = CONFIGS[name] | ({"moe_intermediate_size": 64} if "moe" in name else {})
    _, off, merged = difference(wide, tmp_path / "model", bits=bits, mode=mode)
    assert off == 0
    assert merged < 1e-3  # of activations packed weights make no less


def test_many_tensors(tmp_path: Path) -> None:
    # As of 80 layers, packed: beyond what one call into MLX can name.
    split, off, _ = difference(CONFIGS["qwen3"] | {"num_hidden_layers": 48}, tmp_path / "model", bits=4)
    assert sum(split) == 48
    assert off == 0


@pytest.mark.parametrize(
    ("config", "span", "reason"),
    [
        (CONFIGS["gemma4"], (0, 3), "layers 2 to 4 share keys and values and must stay together"),
        (CONFIGS["gemma3n"], (4, 6), "share keys and values and must stay together"),
        (KIMI_K3, (0, 2), "its layers hand on a"),
    ],
    ids=["gemma4", "gemma3n", "kimi_k3"],
)
def test_what_cannot_be_cut_is_refused_by_name(config, span, reason, tmp_path: Path) -> None:
    path = write(config, tmp_path / "model")
    with pytest.raises(Unsplittable) as refusal:
        Stage(path, *span, lambda *_: None)
    assert config["model_type"] in str(refusal.value)
    assert reason in str(refusal.value)


GEMMA4 = CONFIGS["gemma4"]
TEXT: dict[str, Any] = GEMMA4["text_config"]
HUNYUAN = BASE | {
    "model_type": "hunyuan",
    "num_hidden_layers": 5,
    "num_shared_expert": 1,
    "use_mixed_mlp_moe": True,
    "use_qk_norm": True,
    "use_cla": True,
    "cla_share_factor": 2,
    "rope_scaling": {"factor": 1.0, "type": "dynamic", "alpha": 1000.0},
}
WHOLE = {
    "gemma3n": CONFIGS["gemma3n"],
    "gemma4": GEMMA4,
    "gemma4 that shares nothing": GEMMA4 | {"text_config": TEXT | {"num_kv_shared_layers": 0}},
    "gemma4 that shares one kind": GEMMA4 | {"text_config": TEXT | {"num_kv_shared_layers": 1}},
    "hunyuan": HUNYUAN,
    "hunyuan that shares nothing": HUNYUAN | {"use_cla": False},
    "iquestloopcoder": BASE | {"model_type": "iquestloopcoder"},
    "kimi_k3": KIMI_K3,
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_console_knows_beforehand_where_a_rank_refuses_to_be_cut(name: str, tmp_path: Path) -> None:
    config = WHOLE[name]
    path = write(config, tmp_path / "model")
    layers = len(layers_of(load_model(path, lazy=True)[0]))
    said = {cut for first, last, _ in whole(config, layers) for cut in range(first + 1, last + 1)}
    refused: set[int] = set()
    for cut in range(1, layers):
        try:
            Stage(path, 0, cut, lambda *_: None)
            Stage(path, cut, layers, lambda *_: None)
        except Unsplittable:
            refused.add(cut)
    assert refused == said


def test_no_other_family_is_said_to_be_whole() -> None:
    for name in CONFIGS.keys() - WHOLE.keys():
        assert not [*whole(CONFIGS[name], BASE["num_hidden_layers"])], name


def test_what_is_refused_in_parts_runs_whole(tmp_path: Path) -> None:
    path = write(CONFIGS["gemma4"], tmp_path / "model")
    stage = Stage(path, 0, 6, lambda *_: None)
    assert (stage.first, stage.last) == (True, True)
    assert BASE["num_hidden_layers"] < stage.layers


# As processes: name, number of ranks. Splits are drawn anew by each seed.
CASES = [
    ("apertus", 2),
    ("cohere2", 3),
    ("deepseek_v32", 2),
    ("falcon_h1", 4),
    ("gemma3_text", 3),
    ("gemma4", 2),
    ("granitemoehybrid", 2),
    ("lfm2", 3),
    ("mamba2", 2),
    ("mixtral", 4),
    ("nemotron_h", 3),
    ("olmo3", 1),
    ("phi3", 2),
    ("qwen3_next", 3),
    ("rwkv7", 2),
]
LONG = ("gemma3_text", "nemotron_h", "phi3", "qwen3_next")
MANY = tuple(3 + (i * 37 + i * i) % 500 for i in range(600))


@pytest.mark.parametrize(("name", "ranks"), CASES, ids=str)
async def test_processes_say_what_one_says(name: str, ranks: int, cluster, alone) -> None:
    chance = random.Random(f"{name}{ranks}")
    layers = len(layers_of(load_model(cluster(name, []).model, lazy=True)[0]))
    cuts = sorted(chance.sample(range(1, 3 if name == "gemma4" else layers), ranks - 1))
    split = [high - low for low, high in itertools.pairwise([0, *cuts, layers])]
    async with cluster(name, split) as made:
        assert (await made.generate(PROMPT, 24))[0] == alone(name, 24)
        if name in LONG:
            assert (await made.generate(list(MANY), 12, chunk=64))[0] == alone(name, 12, MANY)

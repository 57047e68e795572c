"""Every configuration that ranks can share, shared by 2 and by 4 of them: which say what one process says.

`python -m tests.bench.tensor [NAMES...]`. Real processes over MLX's ring; the fast subset is
tests/worker/test_worker_tensor.py.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.generate import generate_step
from mlx_lm.utils import _get_classes, load_model

import core.worker
from core.worker.divide import FAMILIES, refusal
from tests import families, tiny_models
from tests.worker.cluster import Cluster
from tests.worker.conftest import PROMPT

COUNT = 16
YARN = {
    "factor": 2.0,
    "original_max_position_embeddings": 1024,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "beta_fast": 32,
    "beta_slow": 1,
}
MORE = {
    "deepseek_v2": {"rope_scaling": {"type": "yarn", **YARN}},
    "deepseek_v41": {},
    "glm_moe_dsa": {
        "index_head_dim": 16,
        "index_n_heads": 4,
        "index_topk": 8,
        "moe_layer_freq": 1,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    },
    "iquestloopcoder": {},
    "kimi_k25": {"text_config": families.BASE | {"model_type": "deepseek_v3"}},
    "kimi_k3": {
        "text_config": families.BASE
        | {
            "num_key_value_heads": 4,
            "hidden_act": "situ",
            "activation_situ_beta": 1.0,
            "num_experts_per_token": 2,
            "linear_attn_config": {
                "kda_layers": [1, 2, 3],
                "full_attn_layers": [4],
                "num_heads": 4,
                "head_dim": 16,
                "short_conv_kernel_size": 4,
            },
        }
    },
    "minimax_m2": {"rotary_dim": 8},
    "minimax_m3_vl": {"text_config": families.BASE | {"model_type": "minimax_m3", "rotary_dim": 8}},
    "mistral4": {
        "rope_parameters": {
            "rope_theta": 10000.0,
            "rope_type": "default",
            "llama_4_scaling_beta": 0.1,
            **YARN,
            "factor": 1.0,
        }
    },
    "qwen3_5_moe": {},
    "solar_open": {},
    "step3p5": {"num_attention_groups": 2},
}
"""Families that are in no other test, and their keys beside those that most of them understand. Others that
mlx-lm can divide are names of these, but for muse_spark, which wants Metal, and prism_hadamard_qwen35, which
has packs of its own."""


def alone(model: Path) -> list[int]:
    """Greedy tokens of one process."""
    whole, _ = load_model(model)
    return [int(token) for token, _ in generate_step(mx.array(PROMPT), whole, max_tokens=COUNT)]


async def shared(model: Path, folder: Path, layers: int, size: int) -> list[int]:
    """Greedy tokens of `size` ranks, each with a part of every layer."""
    package = folder / "worker"
    if not package.exists():
        shutil.copytree(Path(core.worker.__file__ or "").parent, package)
    ranks = Cluster(package, folder, model, [layers] * size, "ring")
    ranks.extra = {"mode": "tensor", "start": 0, "end": layers, "rings": ["127.0.0.1"] * size}
    async with ranks:
        return (await ranks.generate(PROMPT, COUNT, ignore_eos=True))[0]


def _bare(path: Path) -> dict[str, Any]:
    """A model's config, without the sign of latent attention where its family has none."""
    config = json.loads(path.read_text())
    _, arguments = _get_classes(config)
    if not {"kv_lora_rank", "text_config"} & {field.name for field in dataclasses.fields(arguments)}:
        config.pop("kv_lora_rank", None)
        path.write_text(json.dumps(config))
    return config


def main() -> None:
    """Print a line a configuration and number of ranks."""
    mx.disable_compile()
    tiny_models.CONFIGS.update(
        {name: families.BASE | keys | {"model_type": name} for name, keys in MORE.items()}
    )
    known = {**families.CONFIGS, **tiny_models.CONFIGS}
    able = [name for name, config in known.items() if config["model_type"] in FAMILIES]
    for name in sys.argv[1:] or able:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            model = tiny_models.build(name, folder / "model")
            config = _bare(model / "config.json")
            layers = {**config, **config.get("text_config", {})}["num_hidden_layers"]
            for size in (2, 4):
                if reason := refusal(config, size):
                    print(f"refused {name} x{size}: {reason}", flush=True)
                    continue
                try:
                    same = asyncio.run(shared(model, folder, layers, size)) == alone(model)
                    print(f"{'same' if same else 'OTHER':7} {name} x{size}", flush=True)
                except Exception as error:
                    print(f"NOT     {name} x{size}: {type(error).__name__}: {error}", flush=True)


if __name__ == "__main__":
    main()

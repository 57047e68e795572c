"""Model directories made by hand: headers and zeros in place of weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

WIDTH = {"F32": 4, "BF16": 2, "F16": 2, "U32": 4, "U8": 1, "F8_E4M3": 1}
Tensors = Mapping[str, tuple[str, tuple[int, ...]]]

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}


def safetensors(file: Path, tensors: Tensors) -> None:
    at, entries = 0, {"__metadata__": {"format": "mlx"}}
    for name, (dtype, shape) in tensors.items():
        end = at + WIDTH[dtype] * prod(shape)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": (at, end)}  # type: ignore[assignment]
        at = end
    header = json.dumps(entries).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(at))


def model(directory: Path, config: Mapping[str, Any], tensors: Tensors) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config))
    safetensors(directory / "model.safetensors", tensors)
    return directory


def llama(
    dtype: str = "BF16", layers: int = 2, prefix: str = "model."
) -> dict[str, tuple[str, tuple[int, ...]]]:
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {
        f"{prefix}embed_tokens.weight": (dtype, (100, 64)),
        f"{prefix}norm.weight": (dtype, (64,)),
        "lm_head.weight": (dtype, (100, 64)),
    }
    for i in range(layers):
        tensors[f"{prefix}layers.{i}.self_attn.k_proj.weight"] = (dtype, (16, 64))
        tensors[f"{prefix}layers.{i}.input_layernorm.weight"] = (dtype, (64,))
    return tensors


def plain(layers: int, dtype: str = "BF16") -> dict[str, tuple[str, tuple[int, ...]]]:
    """As little as a model with so many layers can hold: 16 numbers in each."""
    names = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"]
    names += [f"model.layers.{i}.mlp.gate.weight" for i in range(layers)]
    return {name: (dtype, (16,)) for name in names}

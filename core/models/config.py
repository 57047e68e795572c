"""The keys of config.json that say how large a model is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec

from core.models.error import ModelError
from core.text import clean_line

_OTHER_NAMES = {
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_embd": "hidden_size",
    "n_positions": "max_position_embeddings",
    "n_ctx": "max_position_embeddings",
    "seq_length": "max_position_embeddings",
    "n_routed_experts": "num_experts",
    "num_local_experts": "num_experts",
    "moe_num_experts": "num_experts",
    "experts_per_token": "num_experts_per_tok",
    "moe_k": "num_experts_per_tok",
    "moe_topk": "num_experts_per_tok",
}
"""What GPT-2, the first Qwen and the makers of mixtures of experts call the keys read here."""
_GEMMA3_TEXT = {
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "sliding_window": 512,
    "sliding_window_pattern": 6,
    "max_position_embeddings": 32768,
}
_SILENT: dict[str, dict[str, int]] = {
    "gemma3_text": _GEMMA3_TEXT,
    "gemma3": _GEMMA3_TEXT | {"num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 262208},
    "cohere2": {"sliding_window": 4096, "sliding_window_pattern": 4},
    "gpt_oss": {"sliding_window": 128},
    "qwen3_next": {"full_attention_interval": 4},
    "qwen3_5": {"full_attention_interval": 4},
    "qwen3_5_moe": {"full_attention_interval": 4},
}
"""What mlx-lm 0.32.2 takes where these families' config.json says nothing."""
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Few = Annotated[int, msgspec.Meta(ge=0, le=10_000)]


class Quantization(msgspec.Struct, frozen=True):
    bits: int | None = None
    group_size: int | None = None
    mode: str | None = None
    quant_method: str | None = None


class Config(msgspec.Struct, frozen=True):
    """The keys of config.json read here, the text model's own before those around it."""

    hidden_size: Count
    num_attention_heads: Count
    vocab_size: Count
    num_hidden_layers: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    model_type: str
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    max_position_embeddings: Count | None = None
    tie_word_embeddings: bool | None = None
    layer_types: list[str] | None = None
    sliding_window: Count | None = None
    # A number in Gemma and Cohere, a string such as LLLG in EXAONE, which has layer_types as well.
    sliding_window_pattern: Count | str | None = None
    attention_chunk_size: Count | None = None
    full_attention_interval: Count | None = None
    num_nextn_predict_layers: Few | None = None
    kv_lora_rank: Count | None = None
    qk_rope_head_dim: Count | None = None
    qk_nope_head_dim: Count | None = None
    v_head_dim: Count | None = None
    index_head_dim: Count | None = None
    num_kv_shared_layers: Few | None = None
    global_head_dim: Count | None = None
    num_global_key_value_heads: Count | None = None
    num_experts: Few | None = None
    num_experts_per_tok: Few | None = None
    quantization: Quantization | None = None
    quantization_config: Quantization | None = None


def read(file: Path) -> tuple[str, Config, dict[str, Any]]:
    """The family, which is the outermost `model_type`, the keys read here, and all there are."""
    try:
        # Not msgspec: Python writes Infinity into config.json, which is no JSON.
        outer = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{file.parent} holds no config.json") from error
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is not valid JSON: {clean_line(str(error))}") from error
    try:
        keys = msgspec.convert(outer, dict[str, Any])
        inner = msgspec.convert(keys.get("text_config") or {}, dict[str, Any])
        given = {key: value for part in (keys, inner) for key, value in part.items() if value is not None}
        given = {_OTHER_NAMES[key]: value for key, value in given.items() if key in _OTHER_NAMES} | given
        for key in ("model_type", "num_hidden_layers"):
            if key not in given:
                raise ModelError(f"{file} has no {key}")
        family = msgspec.convert(keys.get("model_type", given["model_type"]), str)
        own = msgspec.convert(given["model_type"], str)
        silent = _SILENT.get(family) or _SILENT.get(own) or {}
        return clean_line(family), msgspec.convert(silent | given, Config), keys
    except msgspec.ValidationError as error:
        raise ModelError(f"{file} does not describe a model: {clean_line(str(error))}") from error

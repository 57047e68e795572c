# pyright: basic
"""Turns the SmolLM2 GGUF into a directory mlx-lm can load: `python -m core.models.gguf SRC OUT`.

Runs in a process of its own, because it imports mlx. The weights stay packed as they are; only their
scales become float32, which MLX multiplies some forty times faster than float16 on a CPU.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import mlx.core as mx

GROUP_SIZE = 32
"""Weights that share a scale: the block of GGML's Q4_1 and Q8_0."""
_LLAMA_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_CONTROL, _USER_DEFINED = 3, 4
"""GGUF's token types for tokens that stand for themselves."""


def _name(gguf_name: str) -> str:
    if match := re.fullmatch(r"blk\.(\d+)\.(\w+)\.(\w+)", gguf_name):
        return f"model.layers.{match[1]}.{_LLAMA_NAMES[match[2]]}.{match[3]}"
    base, leaf = gguf_name.rsplit(".", 1)
    return f"{_LLAMA_NAMES[base]}.{leaf}"


def _unpermute(rows: mx.array, heads: int) -> mx.array:
    """Undo llama.cpp's interleaving of the rotary halves; it moves whole rows, so packed ones as well."""
    count = rows.shape[0]
    halves = rows.reshape(heads, count // heads // 2, 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def _weights(tensors: dict[str, mx.array], heads: int, kv_heads: int) -> dict[str, mx.array]:
    weights: dict[str, mx.array] = {}
    for name, tensor in tensors.items():
        if ".attn_q." in name:
            tensor = _unpermute(tensor, heads)
        elif ".attn_k." in name:
            tensor = _unpermute(tensor, kv_heads)
        if mx.issubdtype(tensor.dtype, mx.floating):
            tensor = tensor.astype(mx.float32)
        weights[_name(name)] = tensor
    return weights


def _quantization(weights: dict[str, mx.array]) -> dict[str, Any]:
    """config.json's `quantization`: the commonest width, and each module that has another."""
    bits: dict[str, int] = {}
    for name, scales in sorted(weights.items()):
        if name.endswith(".scales"):
            base = name.removesuffix(".scales")
            packed = weights[f"{base}.weight"]
            bits[base] = 32 * packed.shape[-1] // (scales.shape[-1] * GROUP_SIZE)
    common = Counter(bits.values()).most_common(1)[0][0]
    others = {
        base: {"group_size": GROUP_SIZE, "bits": width} for base, width in bits.items() if width != common
    }
    return {"group_size": GROUP_SIZE, "bits": common, "mode": "affine"} | others


def _config(metadata: dict[str, Any], weights: dict[str, mx.array], ids: dict[str, int]) -> dict[str, Any]:
    def number(key: str) -> int | float:
        return metadata[f"llama.{key}"].item()

    quantization = _quantization(weights)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": number("embedding_length"),
        "num_hidden_layers": number("block_count"),
        "intermediate_size": number("feed_forward_length"),
        "num_attention_heads": number("attention.head_count"),
        "num_key_value_heads": number("attention.head_count_kv"),
        "head_dim": number("rope.dimension_count"),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        # Stored as a float32, whose digits past the twelfth are noise.
        "rms_norm_eps": round(number("attention.layer_norm_rms_epsilon"), 12),
        "rope_theta": number("rope.freq_base"),
        "rope_scaling": None,
        "max_position_embeddings": number("context_length"),
        "vocab_size": number("vocab_size"),
        "tie_word_embeddings": "lm_head.weight" not in weights,
        "torch_dtype": "float32",
        **ids,
        "quantization": quantization,
        "quantization_config": quantization,
    }


def _tokenizer(tokens: list[str], merges: list[str], special: list[int]) -> dict[str, Any]:
    """tokenizer.json. GGUF calls the pre-tokenizer `smollm`: single digits, then GPT-2's byte level."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, **_added(tokens[i])} for i in special],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]},
        "post_processor": None,
        "decoder": byte_level | {"add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": merges,
        },
    }


def _added(token: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"content": token, **flags, "special": True}


def convert(source: Path, out: Path) -> None:
    """Write the model in the GGUF `source` to the directory `out`, which is made if need be."""
    mx.set_default_device(mx.cpu)
    loaded: Any = mx.load(str(source), return_metadata=True)  # mlx's stub does not know the pair
    tensors: dict[str, mx.array] = loaded[0]
    metadata: dict[str, Any] = loaded[1]
    heads = metadata["llama.attention.head_count"].item()
    kv_heads = metadata["llama.attention.head_count_kv"].item()
    weights = _weights(tensors, heads, kv_heads)

    tokens = metadata["tokenizer.ggml.tokens"]
    types = metadata["tokenizer.ggml.token_type"].tolist()
    special = [i for i, kind in enumerate(types) if kind in (_CONTROL, _USER_DEFINED)]
    ids = {
        f"{short}_token_id": int(metadata[f"tokenizer.ggml.{long}_token_id"].item())
        for short, long in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
    }
    names = {key.removesuffix("_id"): tokens[i] for key, i in ids.items()}
    names["unk_token"] = tokens[int(metadata["tokenizer.ggml.unknown_token_id"].item())]
    files = {
        "config.json": _config(metadata, weights, ids),
        "generation_config.json": ids,
        "special_tokens_map.json": names,
        "tokenizer.json": _tokenizer(tokens, metadata["tokenizer.ggml.merges"], special),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **names,
            "additional_special_tokens": [tokens[i] for i in special[:3]],
            "added_tokens_decoder": {str(i): _added(tokens[i]) for i in special},
            "clean_up_tokenization_spaces": False,
            "model_max_length": int(metadata["llama.context_length"].item()),
            "chat_template": metadata["tokenizer.chat_template"],
        },
        "model.safetensors.index.json": {
            "metadata": {"total_size": sum(weight.nbytes for weight in weights.values())},
            "weight_map": dict.fromkeys(sorted(weights), "model.safetensors"),
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(out / "model.safetensors"), weights, metadata={"format": "mlx"})
    for name, content in files.items():
        (out / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m core.models.gguf SRC OUT")
    convert(Path(sys.argv[1]), Path(sys.argv[2]))

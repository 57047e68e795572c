"""Specs of models that are sound; the sizes are worked out on paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from modelfiles import LLAMA, Tensors, llama, model, plain, safetensors

from core.models.spec import read


def test_llama_sizes_are_those_of_its_tensors(tmp_path: Path) -> None:
    spec = read(model(tmp_path / "tiny", LLAMA, llama()))
    assert (spec.name, spec.path, spec.family) == ("tiny", str(tmp_path / "tiny"), "llama")
    assert spec.layer_bytes == (2 * (16 * 64 + 64),) * 2
    assert spec.embed_bytes == 2 * 100 * 64
    assert spec.head_bytes == 2 * (100 * 64 + 64)
    assert (spec.layers, spec.hidden, spec.heads, spec.kv_heads) == (2, 64, 8, 2)
    assert (spec.vocabulary, spec.context, spec.quantization, spec.tied) == (100, 4096, "", False)
    assert spec.kv_bytes == (2 * 2 * 8 * 2,) * 2
    assert spec.windows == (None, None)
    assert spec.weights == 2 * (2 * (16 * 64 + 64)) + 2 * 100 * 64 * 2 + 2 * 64


def test_float32_weights_mean_a_float32_cache(tmp_path: Path) -> None:
    assert read(model(tmp_path, LLAMA, llama("F32"))).kv_bytes == (2 * 2 * 8 * 4,) * 2


@pytest.mark.parametrize(("dtype", "width"), [("BF16", 2), ("F32", 4)])
def test_a_quantised_cache_takes_its_bits_and_two_numbers_a_group(dtype, width, tmp_path: Path) -> None:
    spec = read(model(tmp_path, LLAMA, llama(dtype)))
    values = 2 * 2 * 8  # of two heads with eight numbers each
    packed = spec.packed(8)
    assert spec.kv_bytes == (width * values,) * 2
    assert packed.kv_bytes == (round(values * (1 + 2 * width / 64)),) * 2
    assert (packed.kv_bits, packed.weights) == (8, spec.weights)


def test_tied_embeddings_leave_no_head_and_lose_no_byte(tmp_path: Path) -> None:
    tensors = llama()
    del tensors["lm_head.weight"]
    spec = read(model(tmp_path, LLAMA | {"tie_word_embeddings": True}, tensors))
    assert spec.tied
    assert (spec.embed_bytes, spec.head_bytes) == (2 * (100 * 64 + 64), 0)
    assert spec.weights == 2 * (2 * (16 * 64 + 64)) + 2 * (100 * 64 + 64)


def test_a_spare_head_in_a_tied_model_does_not_count(tmp_path: Path) -> None:
    spec = read(model(tmp_path, LLAMA | {"tie_word_embeddings": True}, llama()))
    assert (spec.tied, spec.embed_bytes, spec.head_bytes) == (True, 2 * (100 * 64 + 64), 0)


def test_a_quantised_model_says_so_and_counts_its_packed_bytes(tmp_path: Path) -> None:
    quantization = {"group_size": 64, "bits": 4, "mode": "affine", "model.embed_tokens": {"bits": 8}}
    tensors: Tensors = plain(1) | {
        "model.layers.0.mlp.up_proj.weight": ("U32", (128, 64 // 8)),
        "model.layers.0.mlp.up_proj.scales": ("BF16", (128, 1)),
        "model.layers.0.mlp.up_proj.biases": ("BF16", (128, 1)),
    }
    config = LLAMA | {"num_hidden_layers": 1, "quantization": quantization}
    spec = read(model(tmp_path, config, tensors))
    assert spec.quantization == "4-bit g64"
    assert spec.layer_bytes == (32 + 128 * 8 * 4 + 2 * 128 * 2,)


def test_another_quantisation_is_named_by_its_mode_or_method(tmp_path: Path) -> None:
    mode = LLAMA | {"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}}
    method = LLAMA | {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}
    assert read(model(tmp_path / "a", mode, llama())).quantization == "4-bit g32 mxfp4"
    assert read(model(tmp_path / "b", method, llama())).quantization == "fp8"


def test_qwen3_moe_counts_every_expert_and_its_own_head_size(tmp_path: Path) -> None:
    config = {
        "model_type": "qwen3_moe",
        "num_hidden_layers": 2,
        "hidden_size": 2048,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "use_sliding_window": False,
        "sliding_window": None,
        "tie_word_embeddings": False,
    }
    experts: Tensors = {
        f"model.layers.{i}.mlp.experts.{e}.up_proj.weight": ("BF16", (8, 4)) for i in (0, 1) for e in range(3)
    }
    spec = read(model(tmp_path, config, plain(2) | experts))
    assert spec.layer_bytes == (32 + 3 * 8 * 4 * 2,) * 2
    assert spec.kv_bytes == (2 * 4 * 128 * 2,) * 2
    assert (spec.heads, spec.kv_heads, spec.context) == (32, 4, 40960)


GPT_OSS: dict[str, Any] = {
    "model_type": "gpt_oss",
    "num_hidden_layers": 4,
    "hidden_size": 2880,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 201088,
    "sliding_window": 128,
    "max_position_embeddings": 131072,
}


@pytest.mark.parametrize("given", [True, False], ids=["given", "left to the family"])
def test_gpt_oss_alternates_a_window_with_the_whole_context(tmp_path: Path, given: bool) -> None:
    types = {"layer_types": ["sliding_attention", "full_attention"] * 2} if given else {}
    spec = read(model(tmp_path, GPT_OSS | types, plain(4)))
    assert spec.windows == (128, None, 128, None)
    assert spec.kv_bytes == (2 * 8 * 64 * 2,) * 4


def test_a_window_mlx_lm_does_not_use_is_no_window(tmp_path: Path) -> None:
    config = LLAMA | {"model_type": "qwen2", "sliding_window": 32, "layer_types": ["sliding_attention"] * 2}
    assert read(model(tmp_path, config, llama())).windows == (None, None)


def test_deepseek_v3_caches_the_latent_and_drops_its_prediction_layer(tmp_path: Path) -> None:
    config = {
        "model_type": "deepseek_v3",
        "num_hidden_layers": 2,
        "num_nextn_predict_layers": 1,
        "hidden_size": 7168,
        "num_attention_heads": 128,
        "num_key_value_heads": 128,
        "kv_lora_rank": 512,
        "qk_rope_head_dim": 64,
        "qk_nope_head_dim": 128,
        "v_head_dim": 128,
        "vocab_size": 129280,
        "max_position_embeddings": 163840,
        "tie_word_embeddings": False,
        "quantization_config": {"quant_method": "fp8"},
    }
    spec = read(model(tmp_path / "v3", config, plain(3)))
    assert spec.kv_bytes == ((512 + 64) * 2,) * 2
    assert spec.layer_bytes == (32, 32)
    assert spec.quantization == "fp8"
    # mlx-lm caches whole keys (128 + 64) and values (128) of all heads for the version before.
    before = read(model(tmp_path / "v2", config | {"model_type": "deepseek_v2"}, plain(2)))
    assert before.kv_bytes == (128 * (128 + 64 + 128) * 2,) * 2


def test_layers_with_a_fixed_state_cache_nothing_per_token(tmp_path: Path) -> None:
    config = LLAMA | {"model_type": "qwen3_next", "num_hidden_layers": 8, "head_dim": 256}
    assert read(model(tmp_path, config, plain(8))).kv_bytes == (0, 0, 0, 2 * 2 * 256 * 2) * 2


def test_a_text_model_inside_another_is_read_without_its_vision_tower(tmp_path: Path) -> None:
    text = LLAMA | {"model_type": "ministral3", "head_dim": None}
    config = {"model_type": "mistral3", "text_config": text, "vision_config": {"num_hidden_layers": 24}}
    tensors: Tensors = llama(prefix="language_model.model.") | {
        "vision_tower.layers.7.attention.weight": ("BF16", (64, 64)),
        "multi_modal_projector.linear.weight": ("BF16", (64, 64)),
    }
    spec = read(model(tmp_path, config, tensors))
    assert (spec.family, spec.layers) == ("mistral3", 2)
    assert spec.weights == 2 * (2 * (16 * 64 + 64)) + 2 * 100 * 64 * 2 + 2 * 64


def test_gemma3_is_read_with_what_its_config_leaves_to_the_family(tmp_path: Path) -> None:
    text = {"model_type": "gemma3_text", "num_hidden_layers": 6, "hidden_size": 2560, "sliding_window": 1024}
    spec = read(model(tmp_path, {"model_type": "gemma3", "text_config": text}, plain(6)))
    assert (spec.heads, spec.kv_heads, spec.vocabulary) == (8, 4, 262208)
    assert spec.windows == (1024,) * 5 + (None,)
    assert spec.kv_bytes == (2 * 4 * 256 * 2,) * 6


def test_gpt2_names_are_understood(tmp_path: Path) -> None:
    config = {
        "model_type": "gpt2",
        "n_layer": 1,
        "n_head": 4,
        "n_embd": 32,
        "n_positions": 1024,
        "vocab_size": 9,
    }
    tensors: Tensors = {"wte.weight": ("F32", (9, 32)), "h.0.ln_1.weight": ("F32", (32,))}
    spec = read(model(tmp_path, config, tensors))
    assert (spec.layers, spec.hidden, spec.heads, spec.context, spec.tied) == (1, 32, 4, 1024, True)
    assert (spec.embed_bytes, spec.layer_bytes) == (4 * 9 * 32, (4 * 32,))


def test_weights_over_several_files_are_summed(tmp_path: Path) -> None:
    tensors = llama()
    whole = read(model(tmp_path / "one", LLAMA, tensors))
    parts = model(tmp_path / "two", LLAMA, {})
    (parts / "model.safetensors").unlink()
    halves = {
        "model-00001-of-00002.safetensors": list(tensors)[:3],
        "model-00002-of-00002.safetensors": list(tensors)[3:],
    }
    for file, names in halves.items():
        safetensors(parts / file, {name: tensors[name] for name in names})
    without_index = read(parts)
    weight_map = {name: file for file, names in halves.items() for name in names}
    (parts / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )
    assert read(parts).layer_bytes == without_index.layer_bytes == whole.layer_bytes
    assert read(parts).weights == without_index.weights == whole.weights


def test_a_snapshot_in_the_hub_cache_has_the_name_of_its_repository(tmp_path: Path) -> None:
    path = tmp_path / "models--org--name" / "snapshots" / "0a1b2c"
    assert read(model(path, LLAMA, llama())).name == "org/name"


def test_escape_sequences_in_a_config_do_not_pass(tmp_path: Path) -> None:
    config = LLAMA | {
        "model_type": "ll\x1b[31mama",
        "quantization_config": {"quant_method": "\x1b]0;owned\x07fp8"},
    }
    spec = read(model(tmp_path, config, llama()))
    assert (spec.family, spec.quantization) == ("llama", "fp8")

"""Tiny model directories with random weights, real enough for `mlx_lm.load`: built in well under a second.

Weights are wider than default initialisation, whose greedy output is one token repeated.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm
from mlx.utils import tree_map_with_path
from mlx_lm.utils import _get_classes, quantize_model, save_config, save_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests import families

LAYERS = 6
VOCABULARY = 512
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
EOS = 2

COMMON: dict[str, Any] = {
    "hidden_size": 96,
    "num_hidden_layers": LAYERS,
    "intermediate_size": 192,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "rms_norm_eps": 1e-6,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 4096,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
LLAMA = COMMON | {"model_type": "llama", "head_dim": 24}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "qwen3": COMMON | {"model_type": "qwen3", "tie_word_embeddings": True},
    "qwen3_moe": COMMON
    | {
        "model_type": "qwen3_moe",
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "moe_intermediate_size": 64,
        "norm_topk_prob": True,
    },
    "gpt_oss": COMMON
    | {
        "model_type": "gpt_oss",
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "intermediate_size": 64,
        "sliding_window": 32,
        "layer_types": ["sliding_attention", "full_attention"] * (LAYERS // 2),
        "rope_scaling": None,
    },
    "deepseek_v3": COMMON
    | {
        "model_type": "deepseek_v3",
        "moe_intermediate_size": 64,
        "n_shared_experts": 1,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
        "kv_lora_rank": 32,
        "q_lora_rank": 48,
        "qk_rope_head_dim": 16,
        "qk_nope_head_dim": 32,
        "v_head_dim": 32,
        "n_group": 1,
        "topk_group": 1,
        "routed_scaling_factor": 1.0,
        "topk_method": "noaux_tc",
        "scoring_func": "sigmoid",
        "rope_scaling": None,
    },
    "llama_q4": LLAMA,
    # Rows are packed in groups of 32, of which each of two ranks needs whole ones.
    "llama_wide_q4": LLAMA | {"hidden_size": 128, "head_dim": 32, "intermediate_size": 256},
}
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(name: str, out: Path) -> Path:
    """Write the model `name` (see CONFIGS; `_q4` is quantised) to `out`, float32 throughout.

    Other names are those of tests.families.
    """
    config = json.loads(json.dumps(CONFIGS[name] if name in CONFIGS else families.CONFIGS[name])) | {
        "eos_token_id": EOS
    }
    model_class, arguments = _get_classes(config)
    mx.random.seed(7)
    model = model_class(arguments.from_dict(config))
    model.update(tree_map_with_path(_random, model.parameters()))
    mx.eval(model.parameters())
    if name.endswith("_q4"):
        model, config = quantize_model(model, config, group_size=32, bits=4)
    out.mkdir(parents=True)
    save_model(out, model)
    save_config(config, out / "config.json")
    _tokenizer(out)
    return out


def _random(path: str, was: Any) -> Any:
    if not isinstance(was, mx.array) or not mx.issubdtype(was.dtype, mx.floating):
        return was
    if was.ndim == 0:
        return was
    noise = mx.random.normal(was.shape)
    if path.endswith("norm.weight") or "layernorm" in path:
        return 1 + 0.1 * noise
    if was.ndim == 1:
        return 0.05 * noise
    if "embed_tokens" in path or "lm_head" in path:
        return noise
    return 2.5 * noise / was.shape[-1] ** 0.5


def _tokenizer(out: Path) -> None:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    corpus = (Path(mlx_lm.__file__).parent / "generate.py").read_text().splitlines()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(corpus, trainer)
    made.save(str(out / "tokenizer.json"))
    flags = {"special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": SPECIAL[EOS],
        "pad_token": SPECIAL[0],
        "model_max_length": 4096,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT,
        "added_tokens_decoder": {str(i): {"content": one} | flags for i, one in enumerate(SPECIAL)},
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=1))

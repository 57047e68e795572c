# pyright: basic
"""Whether a model can be divided among ranks that each hold a part of every layer; standard library only.

mlx-lm does not ask: an odd number of heads gives garbage without an error, others fail at the first step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# fmt: off
FAMILIES = frozenset(
    (
        "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v41", "deepseek_v41_text", "exaone_moe",
        "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "gpt_oss", "iquestcoder", "iquestloopcoder",
        "joyai_llm_flash", "kimi_k2", "kimi_k25", "kimi_k3", "llama", "longcat_flash", "longcat_flash_ngram",
        "minimax", "minimax_m2", "minimax_m3_vl", "ministral3", "mistral", "mistral4", "muse_spark",
        "prism_hadamard_qwen35", "qwen2", "qwen3", "qwen3_5", "qwen3_5_moe", "qwen3_moe", "solar_open",
        "step3p5", "xverse",
    )
)
# fmt: on
"""Values of `model_type` that mlx-lm 0.32.2 can divide: those whose model has a method `shard`."""
ONE_FOR_ALL = ("deepseek_v41", "deepseek_v41_text")
"""Those with one head of keys and values, which every rank has."""
HEADS = (
    "num_attention_heads",
    "linear_num_key_heads",
    "linear_num_value_heads",
    "n_head",
    "num_heads",
    "num_attention_groups",
    "o_groups",
)
WIDTHS = (
    "intermediate_size",
    "moe_intermediate_size",
    "shared_expert_intermediate_size",
    "shared_intermediate_size",
    "ffn_hidden_size",
    "expert_ffn_hidden_size",
)


def refusal(config: Mapping[str, Any], size: int) -> str:
    """Why `size` ranks cannot share each layer, by what config.json says; "" if they can."""
    text = {**config, **(config.get("text_config") or {})}
    family = str(config.get("model_type"))
    if family not in FAMILIES:
        return f"{family}: mlx-lm cannot divide its layers among ranks"
    counts = {name: text.get(name) for name in (*HEADS, *WIDTHS)}
    # Latent attention has keys and values for all heads in one, too.
    if not text.get("kv_lora_rank") and family not in ONE_FOR_ALL:
        counts["num_key_value_heads"] = text.get("num_key_value_heads")
    for name, count in counts.items():
        for one in count if isinstance(count, list) else [count]:
            if isinstance(one, int) and one % size:
                return f"{family} has {name} {one}, which {size} ranks cannot share evenly"
    quantised = text.get("quantization") or text.get("quantization_config")
    if isinstance(quantised, dict):
        group = max(int(one) for one in _groups(quantised))
        heads, hidden = text.get("num_attention_heads"), text.get("hidden_size")
        across = {name: text.get(name) for name in WIDTHS}
        if isinstance(heads, int) and isinstance(hidden, int):
            head = text.get("v_head_dim") if text.get("kv_lora_rank") else text.get("head_dim")
            across["the width of all heads"] = heads * int(head or hidden // heads)
        for name, width in across.items():
            if isinstance(width, int) and width % (size * group):
                return f"{family} has {name} {width}, not {size} times whole groups of {group} packed weights"
    return ""


def _groups(quantised: Mapping[str, Any]) -> list[Any]:
    """Every group size in the section, of the model and of single layers."""
    own = [quantised["group_size"]] if "group_size" in quantised else []
    return own + [
        one["group_size"] for one in quantised.values() if isinstance(one, dict) and "group_size" in one
    ] or [1]

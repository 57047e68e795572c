"""Tiny configurations of many mlx-lm families: keys that most of them understand, and what differs."""

from __future__ import annotations

from typing import Any

LAYERS = 4
VOCABULARY = 512
WINDOW = 8

BASE: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": LAYERS,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rms_norm_eps": 1e-5,
    "norm_eps": 1e-5,
    "layer_norm_eps": 1e-5,
    "layer_norm_epsilon": 1e-5,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "rope_traditional": False,
    "rope_scaling": None,
    "partial_rotary_factor": 0.5,
    "attention_bias": False,
    "use_bias": False,
    "use_qkv_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
    "sliding_window": WINDOW,
    "sliding_window_size": WINDOW,
    "sliding_window_pattern": 2,
    # experts
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_k": 2,
    "moe_topk": 2,
    "moe_top_k": 2,
    "num_shared_experts": 1,
    "n_shared_experts": 1,
    "moe_num_shared_experts": 1,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    "shared_intermediate_size": 32,
    "norm_topk_prob": True,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
    "scoring_func": "sigmoid",
    "score_function": "sigmoid",
    "topk_method": "noaux_tc",
    # latent attention
    "kv_lora_rank": 16,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    # granite
    "logits_scaling": 1.0,
    "attention_multiplier": 0.25,
    "embedding_multiplier": 1.0,
    "residual_multiplier": 1.0,
}
MIXED = ["sliding_attention", "full_attention"] * (LAYERS // 2)
SHARED: dict[str, Any] = BASE | {
    "num_hidden_layers": 6,
    "num_kv_shared_layers": 2,
    "layer_types": ["sliding_attention", "full_attention"] * 3,
    "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": VOCABULARY,
}

PLAIN: str = """
    Klear bailing_moe bailing_moe_v3 cohere cohere2 deepseek deepseek_v3 deepseek_v32 dots1 ernie4_5
    ernie4_5_moe falcon_h1 gemma gemma2 gemma3_text glm glm4 glm4_moe_lite gpt_oss granite granitemoe helium
    hunyuan_v1_dense internlm2 internlm3 llama mimo mixtral muse_glimmer nanochat nemotron olmo2 olmo3
    olmoe phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_moe seed_oss stablelm starcoder2
"""

OTHERS: dict[str, dict[str, Any]] = {
    "afm7": {
        "hidden_dim": 64,
        "num_layers": 6,
        "num_kv_reuse_layers": 2,
        "num_heads": 4,
        "num_kv_heads": 2,
    },
    "afmoe": {"layer_types": MIXED, "num_dense_layers": 1},
    "apertus": {"post_norm": False, "qk_norm": True},
    "baichuan_m1": {"sliding_window_layers": [1, 3], "conv_window": 2},
    "bailing_hybrid": {"layer_group_size": 2, "group_norm_size": 2, "num_key_value_heads": 4},
    "exaone4": {"sliding_window_pattern": "LLG"},
    "exaone_moe": {"layer_types": MIXED, "is_moe_layer": [False, True, True, True]},
    "gemma3n": {
        "text_config": SHARED
        | {
            "model_type": "gemma3n",
            "rope_local_base_freq": 10000.0,
            "final_logit_softcapping": 30.0,
            "activation_sparsity_pattern": [0.5] * 6,
            "altup_num_inputs": 2,
            "altup_coef_clip": 10.0,
            "altup_correct_scale": True,
            "altup_active_idx": 0,
            "laurel_rank": 8,
        }
    },
    "gemma4": {"text_config": SHARED | {"model_type": "gemma4_text", "global_head_dim": 16}},
    "glm4_moe": {"use_qk_norm": True},
    "gpt2": {"n_ctx": 512, "n_embd": 64, "n_head": 4, "n_layer": LAYERS, "n_positions": 512},
    "gpt_neox": {"rotary_emb_base": 10000, "rotary_pct": 0.5},
    "granitemoehybrid": {
        "layer_types": ["mamba", "attention"] * 2,
        "mamba_n_heads": 8,
        "mamba_d_head": 16,
        "mamba_d_state": 16,
        "mamba_d_conv": 4,
        "mamba_n_groups": 1,
        "mamba_proj_bias": False,
        "mamba_conv_bias": True,
        "normalization_function": "rmsnorm",
        "position_embedding_type": "rope",
    },
    "jamba": {
        "attn_layer_offset": 1,
        "attn_layer_period": 2,
        "expert_layer_offset": 1,
        "expert_layer_period": 2,
        "mamba_d_conv": 4,
        "mamba_d_state": 8,
        "mamba_expand": 2,
        "num_experts": 2,
    },
    "kimi_linear": {
        "linear_attn_config": {
            "full_attn_layers": [2, 4],
            "kda_layers": [1, 3],
            "num_heads": 4,
            "head_dim": 16,
            "short_conv_kernel_size": 4,
        },
        "model_max_length": 512,
    },
    "lfm2": {
        "conv_bias": False,
        "conv_L_cache": 3,
        "block_dim": 64,
        "block_multiple_of": 16,
        "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": False,
        "full_attn_idxs": [1, 3],
        "block_ff_dim": 96,
    },
    "llama4_text": {"intermediate_size_mlp": 96, "no_rope_layers": [1, 0, 1, 0], "use_qk_norm": True},
    "longcat_flash_ngram": {
        "attention_method": "MLA",
        "ffn_hidden_size": 96,
        "expert_ffn_hidden_size": 32,
        "zero_expert_num": 2,
        "num_layers": LAYERS,
        "ngram_vocab_size_ratio": 4,
        "emb_neighbor_num": 2,
        "emb_split_num": 2,
        "mla_scale_q_lora": True,
        "mla_scale_kv_lora": True,
    },
    "longcat_flash": {
        "attention_method": "MLA",
        "zero_expert_type": "identity",
        "ffn_hidden_size": 96,
        "expert_ffn_hidden_size": 32,
        "zero_expert_num": 2,
        "num_layers": LAYERS,
        "mla_scale_q_lora": True,
        "mla_scale_kv_lora": True,
    },
    "mamba": {
        "state_size": 8,
        "conv_kernel": 4,
        "use_bias": False,
        "use_conv_bias": True,
        "time_step_rank": 4,
    },
    "mamba2": {
        "num_heads": 8,
        "state_size": 16,
        "conv_kernel": 4,
        "n_groups": 1,
        "use_conv_bias": True,
        "time_step_limit": [0.01, 10.0],
        "time_step_rank": "auto",
    },
    "mimo_v2_flash": {
        "hybrid_layer_pattern": [0, 1, 0, 1],
        "moe_layer_freq": [0, 1, 1, 1],
        "add_swa_attention_sink_bias": True,
        "add_full_attention_sink_bias": False,
        "layernorm_epsilon": 1e-5,
        "swa_rope_theta": 10000.0,
        "swa_num_attention_heads": 4,
        "swa_num_key_value_heads": 2,
        "swa_head_dim": 16,
        "swa_v_head_dim": 16,
    },
    "minimax": {"rotary_dim": 8},
    "ministral3": {
        "layer_types": MIXED,
        "rope_parameters": {
            "rope_theta": 10000.0,
            "llama_4_scaling_beta": 0.1,
            "original_max_position_embeddings": 512,
        },
    },
    "nemotron_h": {
        "num_hidden_layers": 5,
        "hybrid_override_pattern": ["M", "*", "-", "M", "E"],
        "mamba_num_heads": 8,
        "mamba_head_dim": 16,
        "mamba_proj_bias": False,
        "ssm_state_size": 16,
        "conv_kernel": 4,
        "n_groups": 1,
        "use_conv_bias": True,
        "moe_shared_expert_intermediate_size": 32,
    },
    "qwen3_next": {
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "linear_conv_kernel_dim": 4,
        "full_attention_interval": 2,
    },
    "qwen3_5": {
        "text_config": BASE
        | {
            "model_type": "qwen3_5",
            "linear_num_value_heads": 4,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "linear_conv_kernel_dim": 4,
            "full_attention_interval": 2,
            "num_experts": 0,
        }
    },
    "rwkv7": {
        "norm_eps": 1e-5,
        "a_low_rank_dim": 8,
        "v_low_rank_dim": 8,
        "gate_low_rank_dim": 8,
        "decay_low_rank_dim": 8,
    },
    "talkie": {},
}
CONFIGS: dict[str, dict[str, Any]] = {
    name: BASE | OTHERS.get(name, {}) | {"model_type": name} for name in sorted({*PLAIN.split(), *OTHERS})
}
"""By model type."""

KIMI_K3: dict[str, Any] = {
    "model_type": "kimi_k3",
    "num_hidden_layers": LAYERS,
    "vocab_size": VOCABULARY,
    "text_config": BASE
    | {
        "model_type": "kimi_linear",
        "num_key_value_heads": 4,
        "hidden_act": "situ",
        "activation_situ_beta": 4.0,
        "activation_situ_linear_beta": 25.0,
        "linear_attn_config": {
            "full_attn_layers": [4],
            "kda_layers": [1, 2, 3],
            "num_heads": 4,
            "head_dim": 16,
            "short_conv_kernel_size": 4,
            "gate_lower_bound": -5.0,
            "use_full_rank_gate": True,
        },
        "num_experts_per_token": 2,
        "mla_use_nope": True,
        "mla_use_output_gate": True,
        "routed_expert_hidden_size": 32,
        "latent_moe_use_norm": True,
        "attn_res_block_size": 2,
    },
}
"""Its layers share an object that grows from layer to layer."""

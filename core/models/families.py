"""Whether mlx-lm has a model's family. The one of this computer is looked at and not imported."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

RENAMED = {
    "mistral": "llama",
    "llava": "mistral3",
    "phi-msft": "phixtral",
    "falcon_mamba": "mamba",
    "joyai_llm_flash": "deepseek_v3",
    "kimi_k2": "deepseek_v3",
    "qwen2_5_vl": "qwen2_vl",
    "minimax_m2": "minimax",
    "iquestcoder": "llama",
    "xverse": "llama",
    "gemma4_unified": "gemma4",
    "deepseek_v41_text": "deepseek_v41",
}
"""Families that mlx-lm 0.32.2 reads by the module of another: its MODEL_REMAPPING."""


@cache
def modules() -> frozenset[str]:
    """Names of the modules that mlx-lm has for families; none where it is not installed here."""
    found = importlib.util.find_spec("mlx_lm")
    places = found.submodule_search_locations or () if found is not None else ()
    return frozenset(file.stem for place in places for file in (Path(place) / "models").glob("*.py"))


def known(family: str) -> bool:
    """Whether mlx-lm has the family; True where it is not installed here, as the devices' decides then."""
    return not modules() or RENAMED.get(family, family) in modules()

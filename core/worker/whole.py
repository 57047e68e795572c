# pyright: basic
"""Which layers of a model one stage must hold all of, by what config.json says; standard library only.

For the console, before anything is copied or launched. A rank finds out for itself (wiring.py), of any
family; tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Run = tuple[int, int, str]  # first and last layer, and what they do that no two stages can

# mlx-lm 0.32.2: gemma3n.py, gemma4_text.py. Their last layers use the keys and values of earlier ones.
SHARING = ("gemma3n", "gemma4", "gemma4_text", "gemma4_unified")
SHARED = 20  # by how many of them, where config.json of gemma4 does not say; and ...
PATTERN = 5  # ... every which layer attends to all


def whole(config: Mapping[str, Any], layers: int) -> Iterator[Run]:
    """The runs of layers that belong together, of a model that has so many; none of most families."""
    text = {**config, **(config.get("text_config") or {})}
    family = str(config.get("model_type"))
    if family in SHARING:
        yield from _sharing(text, layers, 0 if family == "gemma3n" else SHARED)
    elif family == "hunyuan" and text.get("use_cla"):  # hunyuan.py: the first of each few makes them for all
        count = _number(text.get("cla_share_factor")) or 2
        for first in range(0, layers, count):
            if (last := min(first + count, layers) - 1) > first:
                yield first, last, "share keys and values"
    elif family == "kimi_k3" and text.get("attn_res_block_size") is not None:
        yield 0, layers - 1, "hand on more than hidden states"
    elif family == "iquestloopcoder":
        yield 0, layers - 1, "are gone through twice for each token"


def _sharing(text: Mapping[str, Any], layers: int, unsaid: int) -> Iterator[Run]:
    shared, every = _number(text.get("num_kv_shared_layers")), _number(text.get("sliding_window_pattern"))
    own = layers - (unsaid if shared is None else shared)
    kinds = text.get("layer_types")
    if not isinstance(kinds, list) or len(kinds) < layers:
        kinds = [(i + 1) % (every or PATTERN) == 0 for i in range(layers)]
    runs: list[Run] = []
    for kind in (True, False, "full_attention", "sliding_attention"):
        at = [i for i in range(layers) if kinds[i] == kind]
        makers = [i for i in at if i < own]
        if makers and at[-1] >= own:
            runs.append((makers[-1], at[-1], "share keys and values"))
    yield from sorted(runs)


def _number(value: Any) -> int | None:
    """What config.json says, if that can be a number of layers."""
    return value if isinstance(value, int) and 0 <= value <= 10_000 else None

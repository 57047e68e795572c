# pyright: basic
"""Quantised weights as plain float32, where that is faster: a CPU with a good BLAS multiplies those best.

The sums are then made in another order, so that a near tie between two tokens may fall the other way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.utils import dequantize_model

PROMPT = 32  # tokens of prompt and of answer whose products are timed
SPARE = 0.75  # of the room given: while it is loaded, a layer is there in both forms
PLAIN = (nn.QuantizedLinear, nn.QuantizedEmbedding)


@dataclass(frozen=True)
class Choice:
    """Seconds the same products took both ways, where they were measured, and what was chosen."""

    dequantised: bool = False
    packed_s: float | None = None
    float_s: float | None = None


def blas() -> str:
    """The BLAS that MLX computes with, where it is not the one of its own wheel: "OpenBLAS" or ""."""
    try:
        mapped = Path("/proc/self/maps").read_text()
    except OSError:
        return ""
    return "OpenBLAS" if "/libopenblas" in mapped else ""


def choose(model: nn.Module, own: list[nn.Module], foreign: list[nn.Module], memory: int) -> Choice:
    """Turn the quantised weights of `model` into float32, lazily, if that fits and measures as faster.

    `own` are this stage's layers, `foreign` the others; `memory` in bytes. With the reference BLAS nothing
    is gained that would be worth the memory.
    """
    if not blas():
        return Choice()
    elsewhere = {id(one) for layer in foreign for one in layer.modules()}
    found = [one for one in model.modules() if hasattr(one, "scales") and id(one) not in elsewhere]
    linear = [one for layer in own for one in layer.modules() if type(one) is nn.QuantizedLinear]
    if not linear or any(type(one) not in PLAIN for one in found):  # a subclass may do more than multiply
        return Choice()
    plain = 4 * sum(_plain(one).size for one in found)
    if plain > SPARE * memory:
        return Choice()
    sample: Any = max(linear, key=lambda one: one.weight.size)
    transposed = mx.contiguous(_plain(sample).T)  # as columns.py lays it out
    packed_s = _seconds(transposed.shape[0], sample)
    float_s = _seconds(transposed.shape[0], lambda x: x @ transposed)
    if float_s < packed_s:
        dequantize_model(model)
        # mlx_lm keeps the dtype of the scales.
        model.apply(lambda one: one.astype(mx.float32) if mx.issubdtype(one.dtype, mx.floating) else one)
    return Choice(float_s < packed_s, packed_s, float_s)


def _plain(module: Any) -> mx.array:
    """The module's weight as float32, lazy."""
    biases = module.get("biases")
    weight = mx.dequantize(
        module.weight, module.scales, biases, module.group_size, module.bits, mode=module.mode
    )
    return weight.astype(mx.float32)


def _seconds(width: int, multiply: Callable[[mx.array], mx.array]) -> float:
    """Seconds of the products of `PROMPT` tokens together, as of a prompt, and one by one."""
    rows = mx.random.normal((PROMPT, width))
    mx.eval(rows, multiply(rows))  # what is read or compiled at first use is not counted
    begun = time.perf_counter()
    mx.eval(multiply(rows))
    for at in range(PROMPT):
        mx.eval(multiply(rows[at : at + 1]))
    return round(time.perf_counter() - begun, 6)  # whoever is shown these can tell what was decided

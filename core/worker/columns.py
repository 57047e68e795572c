# pyright: basic
"""Matrices in memory column by column: what a BLAS copies of them for a product then lies in one piece, and
one with few rows, as in decoding, is 1.2 to 2.3 times faster.

The products are the same to the last bit, but for matrices of under a megabyte that OpenBLAS has kernels of
their own for (AVX-512). The reference BLAS adds a bias first or last, by the layout: those stay as they are.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.nn.layers.distributed import AllToShardedLinear, ShardedToAllLinear

from .dequantise import blas

LINEAR = (nn.Linear, AllToShardedLinear, ShardedToAllLinear)
PEAK = 1.15  # of its share that a rank takes while it loads, at most: for a moment a matrix is there twice


def turn(modules: list[nn.Module], held: dict[str, mx.array], last: bool) -> dict[str, mx.array]:
    """Lay out the float32 matrices of `modules` so, lazily; returns the tensors `held` as they then are.

    `last`: hidden states become logits here, by the embedding where nothing else does it.
    """
    names = {id(one): name for name, one in held.items()}
    linear: list[Any] = [one for one in modules if isinstance(one, LINEAR)]
    rows = {one.weight.shape[0] for one in linear}
    heads = [
        one for one in modules if last and isinstance(one, nn.Embedding) and one.weight.shape[0] not in rows
    ]
    room = PEAK * sum(one.nbytes for one in held.values())
    biased = bool(blas())
    turned = dict(held)
    for one in (*linear, *heads):
        weight = one.weight
        name = names.get(id(weight))
        if name is None or weight.dtype != mx.float32 or weight.ndim != 2 or ("bias" in one and not biased):
            continue
        if turned[name] is weight and 2 * weight.nbytes <= room:
            turned[name] = mx.contiguous(weight.T).T
        one.weight = turned[name]
    return turned

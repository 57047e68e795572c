"""Whole layers in given proportions."""

from __future__ import annotations

from collections.abc import Sequence


def proportional(weights: Sequence[float], layers: int) -> list[int]:
    """`layers` in proportion to `weights`, at least one each (largest remainder)."""
    total = sum(weights)
    exact = [layers * weight / total for weight in weights]
    counts = [max(1, int(share)) for share in exact]
    while sum(counts) < layers:
        counts[max(range(len(counts)), key=lambda i: exact[i] - counts[i])] += 1
    while sum(counts) > layers:
        counts[max(range(len(counts)), key=lambda i: (counts[i] > 1, counts[i] - exact[i]))] -= 1
    return counts


def indivisible(heads: int, kv_heads: int, hidden: int, t: int) -> str:
    """Why a model cannot be shared out over `t` devices; empty when it can. `kv_heads` is 0 where every
    device holds the whole cache."""
    if heads % t:
        return f"{heads} attention heads do not divide by {t}"
    if hidden % t:
        return f"the hidden size {hidden} does not divide by {t}"
    if kv_heads % t:
        return f"{kv_heads} KV heads do not divide by {t}"
    return ""

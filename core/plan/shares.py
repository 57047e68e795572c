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


def nearest(cuts: Sequence[int], able: Sequence[int]) -> list[int] | None:
    """For each cut the nearest of those that are `able`, in ascending order as they are and each another one;
    None where there are too few."""
    found: list[int] = []
    for place, cut in enumerate(cuts):
        later = [one for one in able if not found or one > found[-1]]
        choice = later[: len(later) - (len(cuts) - 1 - place)]
        if not choice:
            return None
        found.append(min(choice, key=lambda one: abs(one - cut)))
    return found


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

# pyright: basic
"""The KV cache of one stage: real for its own layers, stand-ins for the others.

Family code looks at the caches of particular layers (the first, the first with full attention, ...) to build
masks and positions, so the list has to be complete and its offsets true on every rank.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import make_prompt_cache


def _kind(cache: Any) -> tuple[Any, ...]:
    """Caches of one kind answer alike when they have seen the same tokens."""
    parts = tuple(_kind(one) for one in getattr(cache, "caches", ()))
    return type(cache), getattr(cache, "max_size", None), getattr(cache, "chunk_size", None), parts


def _counters(cache: Any) -> list[Any]:
    """The caches within (a CacheList holds several) that count tokens in a plain `offset`."""
    parts = getattr(cache, "caches", None)
    if parts is not None:
        return [one for part in parts for one in _counters(part)]
    return [cache] if isinstance(getattr(cache, "offset", None), int) else []


class Caches:
    """One request's caches for the layers of a stage; `offset` is the tokens seen."""

    def __init__(self, model: nn.Module, mine: set[int] | None = None) -> None:
        """`mine`: which of the model's caches are real here; None: all of them."""
        self.all = make_prompt_cache(model)
        self.local = self.all
        self.offset = 0
        self._ghosts: list[Any] = []
        if mine is None:
            return
        self.local = [self.all[index] for index in sorted(mine)]
        twins = {_kind(one): one for one in reversed(self.local)}
        for index, cache in enumerate(self.all):
            if index in mine:
                continue
            twin = twins.get(_kind(cache))
            if twin is not None:
                self.all[index] = twin
            else:  # nothing of the kind lives here: keep it empty, but counting
                self._ghosts += _counters(cache)

    def advance(self, tokens: int) -> None:
        """The stage has seen so many more tokens."""
        self._count(self.offset + tokens)

    def trim(self, keep: int) -> bool:
        """Cut back to `keep` tokens; False, and nothing changed, where some layer of the *model* cannot.

        Every rank answers the same, because the stand-ins answer for the layers elsewhere.
        """
        if keep == self.offset:
            return True
        if not keep or not all(one.is_trimmable() for one in self.all):
            return False
        for one in self.local:
            one.trim(self.offset - keep)
        self._count(keep)
        return True

    def evaluate(self) -> None:
        """Compute what the caches hold so far."""
        mx.eval([one.state for one in self.local])

    def _count(self, offset: int) -> None:
        self.offset = offset
        for ghost in self._ghosts:
            ghost.offset = offset

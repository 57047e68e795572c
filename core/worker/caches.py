# pyright: basic
"""The KV cache of one stage: real for its own layers, stand-ins for the others.

Family code looks at the caches of particular layers (the first, the first with full attention, ...) to build
masks and positions, so the list has to be complete and its offsets true on every rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import (
    BatchKVCache,
    BatchRotatingKVCache,
    CacheList,
    KVCache,
    RotatingKVCache,
    make_prompt_cache,
)


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


def _merges(cache: Any) -> bool:
    parts = getattr(cache, "caches", None)
    if parts is not None:
        return all(map(_merges, parts))
    # What a rotating cache keeps of its beginning, merged ones do not.
    return hasattr(cache, "merge") and not getattr(cache, "keep", 0)


@dataclass(frozen=True)
class Packing:
    """Keys and values in `bits` each, and a scale and a bias in the model's own type a group of them."""

    bits: int
    group: int


class Caches:
    """One request's caches for the layers of a stage; `offset` is the tokens seen."""

    def __init__(
        self, model: nn.Module, mine: set[int] | None = None, packing: Packing | None = None
    ) -> None:
        """`mine`: which of the model's caches are real here; None: all of them."""
        self._packing = packing
        self.all: list[Any] = make_prompt_cache(model)
        self.offset = 0
        self.own = sorted(range(len(self.all)) if mine is None else mine)
        twins = {_kind(self.all[index]): index for index in reversed(self.own)}
        # Which of the own ones stands where; None: nothing of the kind lives here, an empty one only counts.
        self._source = [twins.get(_kind(one)) for one in self.all]
        for index in self.own:
            self._source[index] = index
        self.relink()

    @property
    def local(self) -> list[Any]:
        """The real ones."""
        return [self.all[index] for index in self.own]

    @property
    def mergeable(self) -> bool:
        """Whether mlx_lm can make one cache of several such as these."""
        return self._packing is None and all(map(_merges, self.all))

    @property
    def unpackable(self) -> str:
        """Why they cannot be quantised; "" if they can."""
        if any(isinstance(one, RotatingKVCache) for one in self.all):
            return "mlx-lm does not quantise the cache of a sliding window"
        if not any(type(one) is KVCache for one in self.all):
            return "it has no cache of keys and values by themselves"
        return ""

    def relink(self) -> None:
        """Let the own caches, which may be others than before, stand in for those elsewhere."""
        for index, source in enumerate(self._source):
            if source is not None:
                self.all[index] = self.all[source]
        self._ghosts = [one for index in self.ghosts for one in _counters(self.all[index])]

    def release(self, own: int) -> None:
        """Hold one of the own caches no longer, wherever it stands."""
        places = zip(self._source, self.all, strict=True)
        self.all = [None if source == own else one for source, one in places]

    @property
    def ghosts(self) -> list[int]:
        """Where the caches are that only count."""
        return [index for index, source in enumerate(self._source) if source is None]

    def source(self, index: int) -> int | None:
        """Which of the own caches stands at a place."""
        return self._source[index]

    def advance(self, tokens: int) -> None:
        """The stage has seen so many more tokens."""
        self.count(self.offset + tokens)
        if self._packing is not None:
            self._pack(self._packing)

    def _pack(self, packing: Packing) -> None:
        """Quantise what is not yet: as in mlx_lm after the first pass, which sees it as it was."""
        for index in self.own:
            if type(self.all[index]) is KVCache:
                self.all[index] = self.all[index].to_quantized(packing.group, packing.bits)
        self.relink()

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
        self.count(keep)
        return True

    def evaluate(self) -> None:
        """Compute what the caches hold so far."""
        mx.eval([one.state for one in self.local])

    def count(self, offset: int) -> None:
        """So many tokens have been seen."""
        self.offset = offset
        for ghost in self._ghosts:
            ghost.offset = offset


class Merged:
    """The caches of several requests as one, for steps that feed a token to each.

    While they are merged the requests' own are empty: only one layer's are ever there twice.
    """

    def __init__(self, rows: list[Caches]) -> None:
        """Takes what `rows` hold, all of them mergeable and none empty."""
        self._rows = rows
        first = rows[0]
        self.all: list[Any] = [None] * len(first.all)
        for index in first.own:
            self.all[index] = first.all[index].merge([row.all[index] for row in rows])
            mx.eval(self.all[index].state)
            for row in rows:
                row.release(index)
        for index in range(len(self.all)):
            source = first.source(index)
            if source is not None:
                self.all[index] = self.all[source]
        self._count()

    def advance(self, tokens: int) -> None:
        """Every request has seen so many more tokens."""
        for row in self._rows:
            row.count(row.offset + tokens)
        self._count()

    def part(self) -> None:
        """Give each request its own caches back."""
        for index in self._rows[0].own:
            parts = [self.all[index].extract(at) for at in range(len(self._rows))]
            mx.eval([part.state for part in parts])
            for row, part in zip(self._rows, parts, strict=True):
                row.all[index] = part
            self.all[index] = None
        for row in self._rows:
            row.relink()
            row.count(row.offset)

    def _count(self) -> None:
        offsets = [row.offset for row in self._rows]
        for index in self._rows[0].ghosts:
            self.all[index] = _counting(self._rows[0].all[index], offsets)


def _counting(ghost: Any, offsets: list[int]) -> Any:
    """An empty cache for several requests that has counted so far."""
    if isinstance(ghost, CacheList):
        return CacheList(*(_counting(one, offsets) for one in ghost.caches))
    longest = max(offsets)
    padding = [longest - one for one in offsets]
    if isinstance(ghost, RotatingKVCache):
        made: Any = BatchRotatingKVCache(ghost.max_size, padding)
        made._offset = longest
    elif isinstance(ghost, KVCache):
        made = BatchKVCache(padding)
    else:  # it holds states and no tokens
        return ghost
    made.offset, made._idx = mx.array(offsets), longest
    return made

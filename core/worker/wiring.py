# pyright: basic
"""How the layers of a model of any family hang together, found by watching one pass that computes nothing.

What a layer is given comes from the layer before it (hidden states, and more in some families), from other
layers (shared keys and values), from the prompt's tokens (inputs per layer) or from the caches.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import make_prompt_cache

from .graph import sources
from .layers import Hollow, Key, Unsplittable

INSIDE = "(inside)"  # in place of the key of an argument that is only part of one
LENGTH = 13  # tokens of the pass: a size that no other axis is likely to have


@dataclass(frozen=True)
class Item:
    """An array that travels with every token."""

    targets: tuple[tuple[int, Key], ...]  # the layers that take it, and as which argument
    output: int | None  # which of the outputs of the layer before it is; None: it depends on the tokens alone
    shape: tuple[int, ...]  # for LENGTH tokens
    dtype: mx.Dtype

    @property
    def width(self) -> int:
        """Numbers a token."""
        return math.prod(self.shape) // LENGTH


@dataclass
class Call:
    """What one layer was given and what it gave."""

    given: dict[Key, Any] = field(default_factory=dict)
    gave: list[Any] = field(default_factory=list)
    arity: int = 0  # of the tuple it returns; 0: it returns an array


class Watched(Hollow):
    """A layer that works and is watched."""

    def __init__(self, original: nn.Module, calls: list[tuple[int, Call]], index: int) -> None:
        super().__init__(original)
        object.__setattr__(self, "_calls", calls)
        object.__setattr__(self, "_index", index)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given: dict[Key, Any] = {**dict(enumerate(args)), **kwargs}
        out = self._original(*args, **kwargs)
        parted = isinstance(out, tuple)
        self._calls.append((self._index, Call(given, list(out) if parted else [out], len(out) * parted)))
        return out


class Wiring:
    """The result; raises Unsplittable where layers do not simply follow one another."""

    def __init__(self, model: nn.Module, layers: list[Any]) -> None:
        caches = make_prompt_cache(model)
        tokens = mx.zeros((1, LENGTH), mx.int32)
        seen: list[tuple[int, Call]] = []
        originals = layers[:]
        layers[:] = [Watched(one, seen, index) for index, one in enumerate(originals)]
        try:
            model(tokens, cache=caches)
        finally:
            layers[:] = originals
        if [index for index, _ in seen] != list(range(len(layers))):
            raise Unsplittable("its forward does not go through its list of layers once and in order")
        self._calls = [call for _, call in seen]
        self.main = self._find_main()
        self.arity = [call.arity for call in self._calls]
        self.uses = [_used(call, caches) for call in self._calls]
        self.outside = set(range(len(caches))).difference(
            *self.uses
        )  # caches of no layer: every stage keeps them
        self._together = self._find_together()
        self._fed = self._find_fed(tokens)
        self._seams = [self._seam(index) for index in range(len(layers))]
        self._calls = []  # they hold on to the whole graph

    def caches(self, start: int, end: int) -> set[int]:
        """Which of the model's caches layers [start, end) keep."""
        return self.outside.union(*self.uses[start:end])

    def check(self, cut: int) -> None:
        """Raises Unsplittable where the model must not be cut before layer `cut`."""
        for low, high in self._together:
            if low < cut <= high:
                raise Unsplittable(f"layers {low} to {high} share keys and values and must stay together")
        if not self._seams[cut]:
            raise Unsplittable(f"something is done to the hidden states between layers {cut - 1} and {cut}")

    def seam(self, cut: int) -> list[Item]:
        """What passes from layer `cut` - 1 to the layers from `cut` on."""
        return self._seams[cut]

    def _find_main(self) -> Key:
        """As which argument layers take the hidden states. Raises Unsplittable."""
        for before, after in itertools.pairwise(self._calls):
            for value in after.given.values():
                opaque = not isinstance(value, mx.array | tuple | list | int | float | str | None)
                if opaque and any(value is one for one in before.gave):
                    raise Unsplittable(f"its layers hand on a {type(value).__name__} besides hidden states")
        for before, after in itertools.pairwise(self._calls):
            for key, value in after.given.items():
                if value is before.gave[0]:
                    return key
        return 0

    def _find_together(self) -> list[tuple[int, int]]:
        """Pairs of layers that need the same cache, or one what the other has computed of all tokens."""
        pairs = set()
        owner: dict[int, int] = {}
        maker: dict[int, int] = {}
        for index, call in enumerate(self._calls):
            for cache in self.uses[index]:
                pairs.add((owner.setdefault(cache, index), index))
            for key, value in call.given.items():
                for leaf in _leaves(value):
                    source = maker.get(id(leaf))
                    if (source is not None and source != index - 1) or (
                        source is not None and key != 0 and not _per_token(leaf)
                    ):
                        pairs.add((source, index))
            for leaf in _leaves(call.gave):
                maker[id(leaf)] = index  # what is handed through counts as made by the last to hand it on
        return sorted(pair for pair in pairs if pair[0] != pair[1])

    def _find_fed(self, tokens: mx.array) -> list[Item]:
        """Arguments that depend on what the tokens are, not only on their number, and on no layer."""
        handed = {id(leaf) for call in self._calls for leaf in _leaves(call.gave)}
        names = {"tokens": tokens}
        for index, call in enumerate(self._calls):
            names |= {f"layer{index}.{at}": leaf for at, leaf in enumerate(_leaves(call.gave))}
        values: dict[int, mx.array] = {}
        targets: dict[int, list[tuple[int, Key]]] = {}
        for index, call in enumerate(self._calls):
            for key, value in call.given.items():
                for leaf in _leaves(value):
                    if id(leaf) not in handed and (index, key) != (0, self.main):
                        values[id(leaf)] = leaf
                        targets.setdefault(id(leaf), []).append((index, key if leaf is value else INSIDE))
        found = sources(names, values)
        items = []
        for one, value in values.items():
            if used := found[one]:
                if used != {"tokens"} or INSIDE in dict(targets[one]).values() or not _per_token(value):
                    index, key = targets[one][0]
                    raise Unsplittable(f"layer {index} takes as argument {key} what cannot be handed on")
                items.append(Item(tuple(targets[one]), None, tuple(value.shape), value.dtype))
        return items

    def _seam(self, cut: int) -> list[Item]:
        """Empty where hidden states do not go straight from layer to layer."""
        if not cut:
            return []
        before, after = self._calls[cut - 1], self._calls[cut]
        items = [
            Item(((cut, key),), output, tuple(made.shape), made.dtype)
            for key, value in after.given.items()
            for output, made in enumerate(before.gave)
            if value is made and isinstance(made, mx.array) and _per_token(made)
        ]
        if not any(item.targets == ((cut, self.main),) and item.output == 0 for item in items):
            return []
        for item in self._fed:
            if later := tuple(target for target in item.targets if target[0] >= cut):
                items.append(Item(later, None, item.shape, item.dtype))
        return items


def _leaves(value: Any) -> Iterator[mx.array]:
    if isinstance(value, mx.array):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one)


def _per_token(array: mx.array) -> bool:
    return LENGTH in array.shape and axis(tuple(array.shape)) >= 0


def axis(shape: tuple[int, ...]) -> int:
    """The axis of the tokens, the batch axis being the one before it; -1 without one."""
    return next((at for at in range(1, len(shape)) if shape[at] == LENGTH and shape[at - 1] == 1), -1)


def _used(call: Call, caches: list[Any]) -> set[int]:
    """Which of the caches the layer was given, whole or in part."""
    given = {id(one) for value in call.given.values() for one in _parts(value)}
    return {index for index, cache in enumerate(caches) if any(id(one) in given for one in _parts(cache))}


def _parts(value: Any) -> list[Any]:
    inner = value if isinstance(value, list | tuple) else getattr(value, "caches", None) or ()
    return [value, *inner]

# pyright: basic
"""One stage of a pipeline: layers [start, end) of a model of any mlx-lm family.

The first stage also holds the embedding, the last one the norm and the head (or the tied embedding).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import _get_classes, load_model

from . import columns, dequantise
from .caches import Caches, Merged, Packing
from .graph import used
from .layers import Refused, Unsplittable, layers_of
from .seam import cut
from .wiring import Wiring

# Families whose attention goes wrong, or not at all, with merged caches (mlx-lm 0.32.2): they take turns.
APART = ("afm7", "gemma2")
GROUPS = (64, 32)  # of quantised keys and values, the first that fits the heads; mlx_lm takes 64
WARM = (8, 1)  # tokens of the warm-up forwards: matrix-matrix kernels, then matrix-vector ones


class BadModel(Refused):
    """The model's files are not what the stage needs."""


def on_gpu() -> bool:
    """Whether MLX computes on a GPU here."""
    return mx.default_device().type == mx.DeviceType.gpu


def working_set() -> int | None:
    """Bytes the GPU may keep resident; None where there is no such limit to ask for (CPU)."""
    return int(mx.device_info()["max_recommended_working_set_size"]) if on_gpu() else None


class Stage:
    """A part of a model that takes token ids or hidden states and gives hidden states or logits."""

    def __init__(
        self,
        path: Path,
        start: int,
        end: int,
        progress: Callable[[int, int], None],
        memory: int | None = None,
        divide: Callable[[nn.Module, dict[str, Any]], None] | None = None,
        kv_bits: int = 0,
        wired: bool = True,
    ) -> None:
        """Read exactly this stage's tensors; `progress(done, total)` after each layer.

        `memory`: weights may be dequantised within so many bytes, where that is faster. `divide` leaves a
        part of each layer of the still lazy model. `kv_bits`, if not 0: of keys and values in the caches.
        `wired`: what Metal recommends is kept in memory. Raises BadModel and Unsplittable.
        """
        if not (path / "config.json").is_file():
            raise BadModel(f"{path} is not a model: it has no config.json")
        if wired and mx.metal.is_available() and (limit := working_set()):
            mx.set_wired_limit(limit)  # before loading: weights paged out later cost seconds a token
        given: set[str] = set()
        try:
            # Not strict: a device needs only the files with its own tensors; what is missing is found below.
            self.model, config = load_model(path, lazy=True, strict=False, get_model_classes=_noting(given))
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # of its config.json, mostly
            raise BadModel(f"mlx-lm does not load {path}: {type(error).__name__}: {error}") from error
        family = str(config.get("model_type"))
        layers = layers_of(self.model)
        count = len(layers)
        if not layers:
            raise Unsplittable(f"{family}: its list of layers is not in a known place")
        if not 0 <= start < end <= count:
            raise BadModel(f"the model has layers 0 to {count}, not {start} to {end}")
        self.first, self.last = start == 0, end == count
        self._whole = self.first and self.last
        self.layers = end - start
        self.lifted = not on_gpu() and bool(config.get("quantization"))
        self._lift()
        if divide is not None:
            divide(self.model, config)
        own = layers[start:end]
        self._packing: Packing | None = None
        self.choice = dequantise.Choice()
        if memory and not on_gpu():
            self.choice = dequantise.choose(self.model, own, layers[:start] + layers[end:], memory)
        named = _tensors(self.model)
        modules = self.model.modules()
        self._mine: set[int] | None = None
        if not self._whole:
            try:
                wiring = Wiring(self.model, layers)
                self._cell, self._before, self._after = cut(layers, start, end, wiring)
                self._mine = wiring.caches(start, end)
                self._held = self._needed(named, own)
            except (Unsplittable, TypeError, ValueError, AttributeError) as error:
                # A family may look closer at what its layers return than hollow ones can answer.
                raise Unsplittable(f"{family} has no stage of layers {start} to {end}: {error}") from error
        else:
            self._held = self._needed(named, own)
        self._check(given)
        if not on_gpu():
            self._held = columns.turn(modules, self._held, self.last)
        named.clear()  # or what was read would stay beside what was made of it
        if kv_bits:
            self._packing = self._packed(family, kv_bits)
        # Whether steps of several requests can be one pass here.
        self.merges = family not in APART and self.caches().mergeable
        self._read(own, progress)
        if not self._whole:
            self._cell.eager = True

    @property
    def linear(self) -> bool:
        """A token of a prompt takes as long alone as among others: so it is with packed weights on a CPU."""
        return self.lifted and not self.choice.dequantised

    def _lift(self) -> None:
        """On a CPU keep scales, biases and norms in float32: quantised matmuls are 9 to 40 times faster."""
        floats = [one for one in _tensors(self.model).values() if _floating(one)]
        # Of hidden states, as the model has them.
        self.dtype: mx.Dtype = next((one.dtype for one in floats if one.dtype != mx.float32), mx.float32)
        if self.lifted:
            self.model.apply(lambda one: one.astype(mx.float32) if _floating(one) else one)

    def _needed(self, named: dict[str, mx.array], own: list[Any]) -> dict[str, mx.array]:
        """The tensors this stage's forward depends on, found in its graph before anything is read."""
        out = self.forward(self._zeros(WARM[0]), self.caches())
        found = used(out, named)
        inside = {id(one) for layer in own for one in _tensors(layer).values()}
        return {name: one for name, one in named.items() if name in found or id(one) in inside}

    def _check(self, given: set[str]) -> None:
        missing = sorted(self._held.keys() - given)
        if missing:
            raise BadModel(f"{len(missing)} tensors of this stage are not in the model's files: {missing[0]}")

    def _read(self, own: list[Any], progress: Callable[[int, int], None]) -> None:
        """Read the tensors held; one after the other, so that no more than one is ever there in two forms.

        First what is beside the layers, where the largest are.
        """
        layers = [list(_tensors(one).values()) for one in own]
        inside = {id(one) for layer in layers for one in layer}
        parts = [[one for one in self._held.values() if id(one) not in inside], *layers]
        for done, part in enumerate(parts):
            progress(done, len(parts))
            for one in sorted(part, key=lambda tensor: -tensor.nbytes):
                mx.eval(one)
                mx.clear_cache()
        progress(len(parts), len(parts))

    def _packed(self, family: str, bits: int) -> Packing:
        """How keys and values are quantised, tried in passes that compute nothing. Raises BadModel."""
        reason = self.caches().unpackable
        for group in () if reason else GROUPS:
            packing = Packing(bits, group)
            caches = Caches(self.model, self._mine, packing)
            try:
                for length in WARM:
                    self.forward(self._zeros(length), caches)
                return packing
            except (ValueError, TypeError, AttributeError, IndexError) as error:
                reason = str(error)  # families with an attention of their own expect arrays
        raise BadModel(f"{family} cannot keep its KV cache in {bits} bits: {reason}")

    @property
    def weights(self) -> int:
        """Bytes of the tensors held."""
        return sum(one.nbytes for one in self._held.values())

    @property
    def digest(self) -> str:
        """SHA-256 over one line a tensor held, by name: its name, shape and dtype."""
        lines = (f"{name} {list(one.shape)} {one.dtype}\n" for name, one in sorted(self._held.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def caches(self) -> Caches:
        """An empty KV cache for one sequence."""
        return Caches(self.model, self._mine, self._packing)

    def forward(self, given: mx.array, caches: Caches | Merged) -> mx.array:
        """One pass over the next tokens of the sequences that `caches` holds, still lazy.

        In: token ids [B, L] to the first stage, hidden states [B, L, D] to the others. Out: logits [B, L, V]
        from the last stage, hidden states from the others.
        """
        if self._whole:
            out = self.model(given, cache=caches.all)
            caches.advance(given.shape[1])
            return out
        cell, tokens = self._cell, given
        if self._before is not None:
            cell.inbox = self._before.unpack(given)
            tokens = mx.zeros(given.shape[:2], mx.int32)
        try:
            out = self.model(tokens, cache=caches.all)
            caches.advance(tokens.shape[1])
            return out if self._after is None else self._after.pack(cell)
        finally:
            cell.clear()

    def adopt(self, hidden: mx.array, lifted: bool) -> mx.array:
        """A neighbour's hidden states in the dtype this stage computes in (`lifted`: see wire.Flag)."""
        if self.lifted:
            return hidden.astype(mx.float32)
        return hidden.astype(self.dtype) if lifted else hidden

    def warm_up(self, progress: Callable[[int, int], None]) -> None:
        """Run this stage alone on zeros, so that kernels are built and weights resident; leaves no token."""
        caches = self.caches()
        for done, length in enumerate(WARM):
            progress(done, len(WARM))
            mx.eval(self.forward(self._zeros(length), caches))
            caches.evaluate()
        mx.clear_cache()
        progress(len(WARM), len(WARM))

    def _zeros(self, length: int) -> mx.array:
        """Something to feed the stage with."""
        if self.first:
            return mx.zeros((1, length), mx.int32)
        assert self._before is not None
        return mx.zeros((1, length, self._before.width), self._before.dtype)


def _tensors(module: nn.Module) -> dict[str, mx.array]:
    flat: Any = tree_flatten(module.parameters())
    return dict(flat)


def _floating(one: mx.array) -> bool:
    return mx.issubdtype(one.dtype, mx.floating)


def _noting(given: set[str]) -> Callable[..., Any]:
    """A `get_model_classes` whose models note the name of every tensor their files give them."""

    def classes(config: dict[str, Any]) -> tuple[type, type]:
        model_class, arguments = _get_classes(config)

        class Noted(model_class):
            def load_weights(self, weights: Any, strict: bool = True) -> Any:
                wanted = {name: one.shape for name, one in _tensors(self).items()}
                for name, one in weights:
                    if name in wanted and wanted[name] != one.shape:
                        raise BadModel(f"{name} is {one.shape} in the files, the model wants {wanted[name]}")
                    given.add(name)
                return super().load_weights(weights, strict=strict)

        return Noted, arguments

    return classes

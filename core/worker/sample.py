# pyright: basic
"""Choosing the next token; done where the logits are, on the last rank."""

from __future__ import annotations

import os
from typing import Any

import mlx.core as mx
from mlx_lm.sample_utils import make_sampler


class Sampler:
    """One request's sampling; the same seed gives the same tokens however the model is cut."""

    def __init__(self, request: dict[str, Any]) -> None:
        seed = request.get("seed")
        # Without one, fresh entropy: else a request would go on from the seed of an earlier one.
        mx.random.seed(int.from_bytes(os.urandom(4), "little") if seed is None else int(seed))
        temperature, top_p = request.get("temperature"), request.get("top_p")
        self._choose = make_sampler(temp=float(temperature or 0.0), top_p=float(top_p or 1.0))

    def pick(self, logits: mx.array) -> int:
        """The id chosen from the last position of logits [1, L, V]."""
        last = logits[:, -1, :]
        chosen: Any = self._choose(last - mx.logsumexp(last, axis=-1, keepdims=True)).item()
        return int(chosen)

# pyright: basic
"""Choosing the next token; done where the logits are, on the last rank."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p

LEAST = 1e-4  # a top-p below this is taken for 0: sums of float32 over a vocabulary do not tell them apart


@dataclass(frozen=True)
class Pick:
    """A token, and the log probabilities that were asked for: its own first."""

    token: int
    told: list[tuple[int, float]] | None = None


def wants_prompt(request: dict[str, Any]) -> bool:
    """Whether choosing depends on the prompt's tokens too."""
    return float(request.get("repetition_penalty") or 1.0) != 1.0


class Sampler:
    """One request's sampling; the same seed gives the same tokens however the model is cut.

    In this order: logit bias, repetition penalty (over prompt and answer, as Keskar et al. 2019, CTRL),
    presence and frequency penalties (over the answer, as OpenAI's API defines them), top-p, min-p, top-k and
    temperature (as mlx_lm orders them). Temperature 0 takes the likeliest, and so does top-p 0.
    """

    def __init__(self, request: dict[str, Any], prompt: Sequence[int] = ()) -> None:
        seed = request.get("seed")
        # Without one, fresh entropy; a key of its own, since requests take turns on one generator.
        self._key = mx.random.key(int.from_bytes(os.urandom(4), "little") if seed is None else int(seed))
        top_p = request.get("top_p")
        self._top_p = 1.0 if top_p is None else float(top_p)
        self._temperature = float(request.get("temperature") or 0.0) if self._top_p >= LEAST else 0.0
        self._top_k = int(request.get("top_k") or 0)
        self._min_p = float(request.get("min_p") or 0.0)
        self._repetition = float(request.get("repetition_penalty") or 1.0)
        self._presence = float(request.get("presence_penalty") or 0.0)
        self._frequency = float(request.get("frequency_penalty") or 0.0)
        self._bias = {int(token): float(value) for token, value in (request.get("logit_bias") or {}).items()}
        self._told: int | None = request.get("logprobs")
        self._prompt = set(prompt)
        # Whether choosing depends on what was chosen before.
        self.looks_back = self._repetition != 1.0 or bool(self._presence or self._frequency)
        self._counts: dict[int, int] = {}
        for token in request.get("resume") or []:  # chosen by an earlier run, which drew as often
            self._counts[int(token)] = self._counts.get(int(token), 0) + 1
            if self._temperature:
                self._key, _ = mx.random.split(self._key)

    def choose(self, logits: mx.array) -> tuple[mx.array, mx.array]:
        """Token id and log probabilities [1, V] from the last position of logits [1, L, V], still lazy."""
        last = self._adjusted(logits[:, -1, :])
        logprobs = last - mx.logsumexp(last, axis=-1, keepdims=True)
        return self._choose(logprobs), logprobs

    def take(self, token: int, logprobs: mx.array) -> Pick:
        """The id is the one chosen; with `logprobs` = n in the request it and the n likeliest are told."""
        self._counts[token] = self._counts.get(token, 0) + 1
        return Pick(token, None if self._told is None else _likeliest(logprobs, token, self._told))

    def _choose(self, logprobs: mx.array) -> mx.array:
        if self._temperature == 0.0:
            return mx.argmax(logprobs, axis=-1)
        if self._top_p < 1.0:
            logprobs = apply_top_p(logprobs, self._top_p)
        if self._min_p:
            logprobs = apply_min_p(logprobs, self._min_p)
        if 0 < self._top_k < logprobs.shape[-1]:
            logprobs = apply_top_k(logprobs, self._top_k)
        self._key, once = mx.random.split(self._key)
        return mx.random.categorical(logprobs * (1.0 / self._temperature), key=once)

    def _adjusted(self, logits: mx.array) -> mx.array:
        if self._bias:
            logits = logits.at[:, mx.array(list(self._bias))].add(mx.array(list(self._bias.values())))
        if self._repetition != 1.0 and (seen := list(self._prompt | self._counts.keys())):
            ids = mx.array(seen)
            known = logits[:, ids]
            logits[:, ids] = mx.where(known < 0, known * self._repetition, known / self._repetition)
        if (self._presence or self._frequency) and self._counts:
            counts = mx.array(list(self._counts.values()), logits.dtype)
            ids = mx.array(list(self._counts))
            logits = logits.at[:, ids].subtract(self._presence + self._frequency * counts)
        return logits


class Drawn:
    """A token for each row of logits, perhaps still on its way."""

    def __init__(self, samplers: Sequence[Sampler], logits: mx.array) -> None:
        """`logits` [B, L, V]."""
        self._samplers = samplers
        self._tokens = [one.choose(logits[row : row + 1]) for row, one in enumerate(samplers)]
        mx.async_eval([token for token, _ in self._tokens])

    @property
    def ids(self) -> mx.array:
        """[B, 1], lazy: what the next step is fed."""
        return mx.stack([token for token, _ in self._tokens])

    def picks(self) -> list[Pick]:
        """Wait for them."""
        ids: Any = [token.item() for token, _ in self._tokens]
        return [
            sampler.take(int(token), logprobs)
            for sampler, token, (_, logprobs) in zip(self._samplers, ids, self._tokens, strict=True)
        ]


def _likeliest(logprobs: mx.array, token: int, count: int) -> list[tuple[int, float]]:
    rows: Any = logprobs.tolist()  # as they are: an operation more would wait for the next step
    [values] = rows
    order = sorted(range(len(values)), key=lambda one: -values[one])[:count] if count else []
    return [(one, values[one]) for one in (token, *order)]

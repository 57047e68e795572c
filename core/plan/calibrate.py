"""Learn from a run: measured against predicted seconds of each stage, and constants that agree with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import msgspec

from core.plan import memory
from core.plan.chips import CONSTANTS, chip
from core.plan.forecast import Pricing
from core.plan.plan import Stage, Tuning
from core.plan.setting import Setting

TOKENS = 50
"""Decoded tokens below which a run teaches nothing: the first ones wait for caches and compilation."""
MOSTLY = 0.1
"""Part of a stage's time that its prompt may be predicted to take, where nobody told it apart."""
ALONE = 0.1
"""Part of a request's steps that may have served others as well: such a one takes longer."""
WORTH = 0.05
"""Gain from which a new plan is worth a word."""
KEPT = 0.5
"""Weight of what was learnt before against a new measurement."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage did in a request: busy seconds in `steps` steps, prefill and decoding together."""

    busy_s: float
    steps: int
    prompt: int
    """Prompt tokens that were computed, not taken from a cache."""
    tokens: int
    merged: int = 0
    """Of the steps, those that served other requests as well: as long as each, and for more than one."""
    decode_s: float | None = None
    """Of the busy seconds those for tokens, in `decode_steps`; None where nobody told them apart."""
    decode_steps: int = 0


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """One device's seconds a decoded token, predicted and measured, and the constants fitted to them."""

    device: str
    predicted_s: float
    measured_s: float
    tuning: Tuning


def learn(setting: Setting, stages: Sequence[Stage], timings: Mapping[int, Timing]) -> list[Lesson]:
    """What the stages' timings say of their devices. Stages that decoded under `TOKENS` tokens, and tensor
    groups, whose members wait for each other, say nothing; nor do requests that decoded with others, or where
    too much of the time is the prompt's by nothing but prediction."""
    lessons: list[Lesson] = []
    for place, timing in sorted(timings.items()):
        alone = timing.merged <= ALONE * timing.steps
        if timing.tokens >= TOKENS and alone and place < len(stages) and not stages[place].members:
            lessons += _lesson(setting, stages, place, timing)
    return lessons


def _lesson(setting: Setting, stages: Sequence[Stage], place: int, timing: Timing) -> list[Lesson]:
    # Priced at the context of the run, not at the longest one there is room for.
    context = max(1, min(setting.context, timing.prompt + timing.tokens // 2))
    hosts = list(setting.hosts.values())
    then = Setting(setting.spec, hosts, setting.wires, context, prompt=max(1, timing.prompt))
    pricing = Pricing(then)
    forecast = pricing.forecast(stages, None).stages[place]
    chunks = ceil(timing.prompt / memory.CHUNK) if timing.prompt > 1 else 0
    measured = _decode_s(timing, chunks, pricing.stage_s(stages, place, "prefill"), forecast.busy_s)
    if measured is None:
        return []
    host = setting.hosts[stages[place].device]
    known = chip(host.chip, host.cores)
    eta = host.tuning.eta_bw if host.tuning else CONSTANTS.eta_bw
    scale = host.tuning.overhead_scale if host.tuning else known.overhead_scale
    # Time to read the cache is not tuned; the rest is off by one factor, as a single figure can tell.
    rest = forecast.busy_s - forecast.cache_s
    factor = max(measured - forecast.cache_s, 0.1 * measured) / rest
    fitted = Tuning(eta / factor, scale * factor, timing.tokens)
    if host.tuning:
        fitted = Tuning(
            KEPT * eta + (1 - KEPT) * fitted.eta_bw,
            KEPT * scale + (1 - KEPT) * fitted.overhead_scale,
            host.tuning.tokens + timing.tokens,
        )
    return [Lesson(device=host.id, predicted_s=forecast.busy_s, measured_s=measured, tuning=fitted)]


def _decode_s(timing: Timing, chunks: int, chunk: float, decode: float) -> float | None:
    """Busy seconds of one decoded token: as told, or what is left of all by a prompt of so many chunks, where
    these take few by prediction."""
    if timing.decode_s is not None:
        return timing.decode_s / timing.decode_steps if timing.decode_steps else None
    share = decode * timing.tokens / (chunk * chunks + decode * timing.tokens)
    return timing.busy_s * share / max(1, timing.steps - chunks) if share > 1 - MOSTLY else None


def gain(setting: Setting, now: Sequence[Stage], better: Sequence[Stage]) -> float:
    """How much faster other stages decode in a setting, as a share; negative where slower."""
    pricing = Pricing(setting)
    return pricing.decode_s(now) / pricing.decode_s(better) - 1

"""The plan card: all there is to say of a plan, as data and as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.plan.explain import Alternative, alternatives
from core.plan.memory import blocks
from core.plan.plan import Footprint, Plan, caching
from core.plan.setting import Setting
from core.plan.whatif import what_if
from core.text import size

BAR = 24


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with what was weighed against it."""

    plan: Plan
    kv_bits: int
    why_not: tuple[Alternative, ...]
    what_if: tuple[Alternative, ...]


def card(setting: Setting, plan: Plan) -> Card:
    """The card of a plan, every comparison solved anew. `plan.forecast` must be there."""
    assert plan.forecast is not None
    return Card(
        plan=plan,
        kv_bits=setting.spec.kv_bits,
        why_not=tuple(alternatives(setting, plan.stages, plan.forecast)),
        what_if=tuple(what_if(setting, plan.stages, plan.forecast)),
    )


def lines(card: Card) -> list[str]:
    """The card as text, without colours."""
    plan, forecast = card.plan, card.plan.forecast
    assert forecast is not None
    cache = caching(plan.context, card.kv_bits)
    said = [f"{plan.model} · {plan.layers} layers · {cache} · {plan.backend}"]
    if plan.obstacle:
        said.append(f"cannot be launched: {plan.obstacle}")
    for stage, timed in zip(plan.stages, forecast.stages, strict=True):
        for device, memory in zip(stage.devices, timed.memory, strict=True):
            said.append(f"  {device:20} layers {stage.start}–{stage.end - 1} ({stage.layers})")
            said.append(f"  {'':20} {bar(memory)} {_memory(memory)}")
    said += [f"- {reason}" for reason in plan.why]
    said.append(f"- longest context these stages have memory for: {forecast.max_context}")
    if plan.tokens:
        whole = plan.tokens // blocks(plan.context)
        many = f"{whole} requests of the whole context" if whole > 1 else "one request of the whole context"
        said.append(
            f"- caches may hold {plan.tokens} tokens in all: {many}, or more of shorter ones, "
            f"at most {plan.requests} at a time"
        )
    for heading, others in (("Why not", card.why_not), ("What if", card.what_if)):
        if others:
            said += ["", heading, *(f"  {other.line}" for other in others)]
    return said


def bar(memory: Footprint) -> str:
    """Memory as a bar: weights, cache, the rest of what is needed, free."""
    if memory.usable <= 0:
        return "x" * BAR
    parts: Sequence[tuple[str, int]] = (
        ("█", memory.weights),
        ("▓", memory.cache),
        ("▒", memory.workspace + memory.runtime),
    )
    text, sofar = "", 0
    for mark, count in parts:
        sofar += count
        text += mark * (min(BAR, round(BAR * sofar / memory.usable)) - len(text))
    return text + "·" * (BAR - len(text))


def _memory(memory: Footprint) -> str:
    other = memory.workspace + memory.runtime
    return (
        f"weights {size(memory.weights)} · cache {size(memory.cache)} · runtime {size(other)} · "
        f"free {size(memory.free)} of {size(memory.usable)}"
    )

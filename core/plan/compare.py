"""Two plans side by side: which layers lie elsewhere, and what that changes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.models.spec import ModelSpec
from core.plan.plan import Forecast, Plan, Stage
from core.text import size


class Move(msgspec.Struct, frozen=True):
    """The layers `[start, end)` lie on `source` in the one plan and on `target` in the other. A tensor group
    is named by its devices, joined by `+`."""

    start: int
    end: int
    source: str
    target: str

    @property
    def line(self) -> str:
        """One line for a person."""
        span = f"layers {self.start}–{self.end - 1}" if self.end - self.start > 1 else f"layer {self.start}"
        return f"{span}: {self.source} → {self.target}"


def holders(stages: Sequence[Stage]) -> list[str]:
    """Who holds each layer."""
    return ["+".join(stage.devices) for stage in stages for _ in range(stage.layers)]


def moves(before: Sequence[Stage], after: Sequence[Stage]) -> tuple[Move, ...]:
    """The runs of layers that lie elsewhere, in order."""
    found: list[Move] = []
    for layer, (source, target) in enumerate(zip(holders(before), holders(after), strict=True)):
        last = found[-1] if found else None
        if source == target:
            continue
        if last and (last.end, last.source, last.target) == (layer, source, target):
            found[-1] = Move(last.start, layer + 1, source, target)
        else:
            found.append(Move(layer, layer + 1, source, target))
    return tuple(found)


def change(before: float, after: float) -> str:
    """How much more or less, in percent: `+3 %`; `same` where it makes no difference."""
    share = after / before - 1
    return "same" if abs(share) < 0.005 else f"{share:+.0%}".replace("%", " %")


def tightest(plan: Plan, forecast: Forecast) -> tuple[str, int]:
    """The device with the least memory left, and how many bytes; negative where it is short."""
    return min(
        (
            (name, memory.free)
            for stage, timed in zip(plan.stages, forecast.stages, strict=True)
            for name, memory in zip(stage.devices, timed.memory, strict=True)
        ),
        key=lambda one: one[1],
    )


def difference(
    spec: ModelSpec, before: Plan, after: Plan, figures: tuple[Forecast | None, Forecast | None]
) -> list[str]:
    """What taking `after` instead of `before` moves and costs, a line each. `figures`: their forecasts in
    the same setting, None where there is none."""
    said: list[str] = []
    if before.context != after.context:
        said.append(f"context {before.context} → {after.context}")
    moved = moves(before.stages, after.stages)
    said += [move.line for move in moved]
    if moved:
        weight = sum(sum(spec.layer_bytes[move.start : move.end]) for move in moved)
        layers = sum(move.end - move.start for move in moved)
        said.append(
            f"{layers} of {after.layers} layers lie elsewhere, {size(weight)} of weights to load there"
        )
    elif not said:
        return ["the same layers on the same devices"]
    old, new = figures
    if old and new:
        said.append(
            f"{old.decode_tps:.1f} → {new.decode_tps:.1f} tok/s ({change(old.decode_tps, new.decode_tps)})"
        )
        said.append(f"first token {old.ttft_s:.2f} → {new.ttft_s:.2f} s ({change(old.ttft_s, new.ttft_s)})")
        (a, left), (b, right) = tightest(before, old), tightest(after, new)
        said.append(f"least memory left {size(left)} on {a} → {size(right)} on {b}")
    return said

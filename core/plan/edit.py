"""Changing a plan by hand: what a person does on the shard board. Pure; every step gives a new board.

A board is a row of cards: stages in order, each with its layers. It may be in a state that cannot be
launched, memory too short for one; then `problems` says so. What makes no sense at all, such as a stage
without layers, is refused with EditError and nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from core.plan.choose import proportional
from core.plan.forecast import Pricing
from core.plan.plan import Forecast, Plan, PlanError, Stage
from core.plan.setting import Setting
from core.text import size


class EditError(PlanError):
    """The edit is not possible; the text says why."""


class Judgement(msgspec.Struct, frozen=True):
    """What comes of a board: its figures, None where they cannot be had, and what keeps it from launching."""

    forecast: Forecast | None
    problems: tuple[str, ...]


class Board:
    """A plan being edited. Compare boards by `stages`."""

    def __init__(
        self,
        plan: Plan,
        setting: Setting,
        *,
        past: tuple[Plan, ...] = (),
        future: tuple[Plan, ...] = (),
        pricing: Pricing | None = None,
    ) -> None:
        self.plan = replace(plan, forecast=None, why=("changed by hand",)) if past else plan
        self._setting = setting
        self._past = past
        self._future = future
        self._pricing = pricing or Pricing(setting)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in order."""
        return self.plan.stages

    @cached_property
    def judgement(self) -> Judgement:
        """Predicted figures and problems of the board as it is."""
        try:
            forecast = self._pricing.forecast(self.stages, None)
        except PlanError as error:
            return Judgement(None, (str(error),))
        problems = [
            f"{device} is {size(-memory.free)} short of memory for {stage.layers} layers"
            for stage, timed in zip(self.stages, forecast.stages, strict=True)
            for device, memory in zip(stage.devices, timed.memory, strict=True)
            if memory.free < 0
        ]
        return Judgement(forecast, tuple(problems))

    @property
    def judged(self) -> Plan:
        """The plan with its forecast, and the first problem as its obstacle."""
        judgement = self.judgement
        obstacle = judgement.problems[0] if judgement.problems else self.plan.obstacle
        return replace(self.plan, forecast=judgement.forecast, obstacle=obstacle)

    # Edits

    def move_boundary(self, place: int, layers: int) -> Board:
        """Shift the boundary behind stage `place` right by so many layers, left if negative."""
        self._must_have(place)
        self._must_have(place + 1)
        left, right = self.stages[place], self.stages[place + 1]
        end = left.end + layers
        if not left.start < end < right.end:
            emptied = left if end <= left.start else right
            raise EditError(f"that leaves {emptied.device} without a layer; drop the device instead")
        counts = [stage.layers for stage in self.stages]
        counts[place] += layers
        counts[place + 1] -= layers
        return self._with(self.stages, counts)

    def move_block(self, start: int, end: int, device: str) -> Board:
        """Give the layers `[start, end)` to a device of the plan.

        Stages are contiguous: the block must be the first or last layers of one stage and go to the
        neighbour on that side; a whole stage goes to either.
        """
        if not 0 <= start < end <= self.plan.layers:
            raise EditError(f"there are no layers {start} to {end - 1}; the model has {self.plan.layers}")
        place = self._place(device)
        giver = next(i for i, stage in enumerate(self.stages) if stage.start <= start < stage.end)
        stage = self.stages[giver]
        if end > stage.end:
            raise EditError(f"layers {start} to {end - 1} are not all on {stage.device}")
        if giver == place:
            raise EditError(f"{device} holds layers {start} to {end - 1} already")
        beside = (place == giver + 1 and end == stage.end) or (place == giver - 1 and start == stage.start)
        if not beside:
            raise EditError(
                f"layers {start} to {end - 1} do not touch {device}'s; a stage holds layers in a row"
            )
        counts = [stage.layers for stage in self.stages]
        counts[giver] -= end - start
        counts[place] += end - start
        kept = [i for i, count in enumerate(counts) if count]
        return self._with([self.stages[i] for i in kept], [counts[i] for i in kept])

    def swap(self, one: str, other: str) -> Board:
        """Exchange the places of two devices; each takes over the other's layers."""
        a, b = self._place(one), self._place(other)
        if a == b:
            raise EditError(f"{one} and {other} are the same stage")
        order = list(self.stages)
        order[a], order[b] = order[b], order[a]
        return self._with(order, [stage.layers for stage in self.stages])

    def drop(self, device: str) -> Board:
        """Take a device out; its neighbours share its layers, half each."""
        place = self._place(device)
        if len(self.stages) == 1:
            raise EditError(f"{device} is the only device of the plan")
        counts = [stage.layers for stage in self.stages]
        freed = counts[place]
        if place == 0:
            counts[1] += freed
        elif place == len(counts) - 1:
            counts[-2] += freed
        else:
            counts[place - 1] += freed // 2
            counts[place + 1] += freed - freed // 2
        rest = [i for i in range(len(counts)) if i != place]
        return self._with([self.stages[i] for i in rest], [counts[i] for i in rest])

    def add(self, device: str, place: int | None = None) -> Board:
        """Put a device in, at the end or before stage `place`, with a fair share from the largest stages."""
        if device not in self._setting.hosts:
            raise EditError(f"{device} is not ready, or has no memory free")
        if any(device in stage.devices for stage in self.stages):
            raise EditError(f"{device} is in the plan already")
        if len(self.stages) >= self.plan.layers:
            raise EditError(f"every one of the {self.plan.layers} layers is a stage of its own already")
        place = len(self.stages) if place is None else place
        if not 0 <= place <= len(self.stages):
            raise EditError(f"there is no place {place}; the plan has {len(self.stages)} stages")
        counts = [stage.layers for stage in self.stages]
        share = max(1, self.plan.layers // (len(counts) + 1))
        for _ in range(share):
            counts[max(range(len(counts)), key=lambda i: counts[i])] -= 1
        order = list(self.stages)
        order.insert(place, Stage(device, 0, 0))
        counts.insert(place, share)
        return self._with(order, counts)

    def split_evenly(self) -> Board:
        """As many layers for every stage, as near as whole layers go."""
        return self._with(self.stages, proportional([1.0] * len(self.stages), self.plan.layers))

    def undo(self) -> Board:
        """The board before the last edit."""
        if not self._past:
            raise EditError("there is nothing to undo")
        *past, plan = self._past
        return self._at(plan, tuple(past), (self.plan, *self._future))

    def redo(self) -> Board:
        """The board before the last undo."""
        if not self._future:
            raise EditError("there is nothing to redo")
        plan, *future = self._future
        return self._at(plan, (*self._past, self.plan), tuple(future))

    # How

    def _with(self, order: Sequence[Stage], counts: Sequence[int]) -> Board:
        ends = [sum(counts[: i + 1]) for i in range(len(counts))]
        stages = tuple(
            Stage(stage.device, start, end, stage.members)
            for stage, (start, end) in zip(order, pairwise([0, *ends]), strict=True)
        )
        return self._at(replace(self.plan, stages=stages), (*self._past, self.plan), ())

    def _at(self, plan: Plan, past: tuple[Plan, ...], future: tuple[Plan, ...]) -> Board:
        return Board(plan, self._setting, past=past, future=future, pricing=self._pricing)

    def _place(self, device: str) -> int:
        for place, stage in enumerate(self.stages):
            if device in stage.devices:
                return place
        raise EditError(f"{device} is not in the plan")

    def _must_have(self, place: int) -> None:
        if not 0 <= place < len(self.stages):
            raise EditError(f"there is no boundary there; the plan has {len(self.stages)} stages")

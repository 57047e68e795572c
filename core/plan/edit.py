"""Changing a plan by hand: what a person does on the shard board. Pure; every step gives a new board.

A board is a row of cards: stages in order, each with its layers; or one tensor group, whose devices share
every layer. It may be in a state that cannot be launched, memory too short for one: `check.problems` says
so. What makes no sense at all, such as a stage without layers or a boundary where the model cannot be cut, is
refused with EditError and nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Literal

from msgspec.structs import replace

from core.models.spec import ModelSpec
from core.plan.plan import Plan, PlanError, Stage
from core.plan.shares import nearest, proportional

Kind = Literal["pipeline", "tensor"]
BY_HAND = ("changed by hand",)
TOGETHER = "in a tensor group every device holds a share of every layer"


class EditError(PlanError):
    """The edit is not possible; the text says why."""


class Board:
    """A plan of a model being edited. Compare boards by `stages`.

    `devices`: what keeps each device of the cluster out of any plan, as in "demo-b is lost"; empty where
    nothing does (see `circumstances.standing`).
    """

    def __init__(
        self,
        plan: Plan,
        spec: ModelSpec,
        devices: Mapping[str, str],
        *,
        past: tuple[Plan, ...] = (),
        future: tuple[Plan, ...] = (),
    ) -> None:
        self.plan = plan
        self.spec = spec
        self.devices = devices
        self.past = past
        self.future = future

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in order."""
        return self.plan.stages

    @property
    def kind(self) -> Kind:
        """How the devices work together."""
        return "tensor" if any(stage.members for stage in self.stages) else "pipeline"

    @property
    def together(self) -> bool:
        """All devices are one tensor group: there is no boundary to move."""
        return len(self.stages) == 1 and self.kind == "tensor"

    @property
    def used(self) -> tuple[str, ...]:
        """Devices of the plan, in order."""
        return tuple(name for stage in self.stages for name in stage.devices)

    @property
    def spare(self) -> tuple[str, ...]:
        """Devices that are not in the plan, those that could be first."""
        return tuple(
            sorted(self.devices.keys() - set(self.used), key=lambda name: (self.devices[name], name))
        )

    def among(self, devices: Mapping[str, str]) -> Board:
        """The same board in a cluster that has changed."""
        return Board(self.plan, self.spec, devices, past=self.past, future=self.future)

    # Boundaries and blocks

    def move_boundary(self, place: int, layers: int) -> Board:
        """Shift the boundary behind stage `place` right by so many layers, left if negative."""
        self._must_have_boundaries()
        self._must_have(place)
        self._must_have(place + 1)
        left, right = self.stages[place], self.stages[place + 1]
        end = left.end + layers
        if not left.start < end < right.end:
            emptied = left if end <= left.start else right
            raise EditError(f"that leaves {emptied.device} without a layer; take the device out instead")
        counts = [stage.layers for stage in self.stages]
        counts[place] += layers
        counts[place + 1] -= layers
        return self._with(self.stages, counts)

    def move_block(self, start: int, end: int, device: str) -> Board:
        """Give the layers `[start, end)` to a device.

        Stages are contiguous: the block must be the first or last layers of one stage, and goes to the
        neighbour on that side or to a device that is not in the plan yet, as a stage between the two. A
        whole stage goes to either neighbour, or is taken over.
        """
        self._must_have_boundaries()
        if not 0 <= start < end <= self.plan.layers:
            raise EditError(f"there are no layers {start} to {end - 1}; the model has {self.plan.layers}")
        giver = next(i for i, stage in enumerate(self.stages) if stage.start <= start < stage.end)
        stage = self.stages[giver]
        block = f"layers {start} to {end - 1}" if end - start > 1 else f"layer {start}"
        if end > stage.end:
            raise EditError(f"{block} are not all on {stage.device}")
        first, last = start == stage.start, end == stage.end
        if device not in self.used:
            return self._into_new(giver, end - start, device, block, first=first, last=last)
        place = self._place(device)
        if giver == place:
            raise EditError(f"{device} holds {block} already")
        if not ((place == giver + 1 and last) or (place == giver - 1 and first)):
            verb = "does" if end - start == 1 else "do"
            raise EditError(f"{block} {verb} not touch {device}'s; a stage holds layers in a row")
        counts = [stage.layers for stage in self.stages]
        counts[giver] -= end - start
        counts[place] += end - start
        return self._with(self.stages, counts)

    def _into_new(self, giver: int, count: int, device: str, block: str, *, first: bool, last: bool) -> Board:
        self._must_be_ready(device)
        if not (first or last):
            raise EditError(
                f"{block} are in the middle of {self.stages[giver].device}'s; take them from an end"
            )
        order, counts = list(self.stages), [stage.layers for stage in self.stages]
        counts[giver] -= count
        at = giver + 1 if last else giver
        order.insert(at, Stage(device, 0, 0))
        counts.insert(at, count)
        return self._with(order, counts)

    # Devices

    def swap(self, one: str, other: str) -> Board:
        """Exchange two devices, each with its group; each takes over the other's layers. One that is not in
        the plan replaces."""
        if one not in self.used:
            one, other = other, one
        a = self._place(one)
        if other not in self.used:
            self._must_be_ready(other)
            order = list(self.stages)
            first, *rest = (other if name == one else name for name in order[a].devices)
            order[a] = Stage(first, 0, 0, tuple(rest))
            return self._with(order, [stage.layers for stage in self.stages])
        b = self._place(other)
        if a == b:
            raise EditError(f"{one} and {other} are the same stage")
        order = list(self.stages)
        order[a], order[b] = order[b], order[a]
        return self._with(order, [stage.layers for stage in self.stages])

    def drop(self, device: str) -> Board:
        """Take a device out; its neighbours share its layers, half each, or the rest of its group does."""
        place = self._place(device)
        if len(self.used) == 1:
            raise EditError(f"{device} is the only device of the plan")
        counts = [stage.layers for stage in self.stages]
        if self.stages[place].members:
            first, *others = [name for name in self.stages[place].devices if name != device]
            order = list(self.stages)
            order[place] = Stage(first, 0, 0, tuple(others))
            return self._with(order, counts)
        freed, counts[place] = counts[place], 0
        if place == 0:
            counts[1] += freed
        elif place == len(counts) - 1:
            counts[-2] += freed
        else:
            counts[place - 1] += freed // 2
            counts[place + 1] += freed - freed // 2
        return self._nearly(self.stages, counts)

    def add(self, device: str, place: int | None = None) -> Board:
        """Put a device in, at the end or before stage `place`, with a fair share from the largest stages; a
        tensor group takes it in."""
        if device in self.used:
            raise EditError(f"{device} is in the plan already")
        self._must_be_ready(device)
        counts = [stage.layers for stage in self.stages]
        if self.together:
            (group,) = self.stages
            return self._with([Stage(group.device, 0, 0, (*group.members, device))], counts)
        if len(self.stages) >= self.plan.layers:
            raise EditError(f"every one of the {self.plan.layers} layers is a stage of its own already")
        place = len(self.stages) if place is None else place
        if not 0 <= place <= len(self.stages):
            raise EditError(f"there is no place {place}; the plan has {len(self.stages)} stages")
        share = max(1, self.plan.layers // (len(counts) + 1))
        for _ in range(share):
            counts[max(range(len(counts)), key=lambda i: counts[i])] -= 1
        order = list(self.stages)
        order.insert(place, Stage(device, 0, 0))
        counts.insert(place, share)
        return self._nearly(order, counts)

    # The whole

    def split_evenly(self) -> Board:
        """As many layers for every stage, as near as whole layers go."""
        self._must_have_boundaries()
        return self._nearly(self.stages, proportional([1.0] * len(self.stages), self.plan.layers))

    def to(self, kind: Kind) -> Board:
        """The same devices as a pipeline, split evenly, or as one tensor group."""
        if kind == self.kind:
            raise EditError(f"this is a {kind} plan already")
        first, *others = self.used
        if kind == "tensor":
            if not others:
                raise EditError("a tensor group needs at least two devices; put one in first")
            return self._with([Stage(first, 0, 0, tuple(others))], [self.plan.layers])
        order = [Stage(name, 0, 0) for name in self.used][: len(self.spec.cuts) + 1]
        return self._nearly(order, proportional([1.0] * len(order), self.plan.layers))

    def adopt(self, plan: Plan) -> Board:
        """Another plan for the same model in place of this one."""
        if plan.layers != self.plan.layers or plan.model != self.plan.model:
            raise EditError(f"that plan is for {plan.model} of {plan.layers} layers")
        if plan.stages == self.stages and plan.context == self.plan.context:
            raise EditError("the board is like that already")
        return self._at(plan, (*self.past, self.plan), ())

    def undo(self) -> Board:
        """The board before the last edit."""
        if not self.past:
            raise EditError("there is nothing to undo")
        *past, plan = self.past
        return self._at(plan, tuple(past), (self.plan, *self.future))

    def redo(self) -> Board:
        """The board before the last undo."""
        if not self.future:
            raise EditError("there is nothing to redo")
        plan, *future = self.future
        return self._at(plan, (*self.past, self.plan), tuple(future))

    # How

    def _nearly(self, order: Sequence[Stage], counts: Sequence[int]) -> Board:
        """As `_with`, the boundaries as near to where they would be as the model can be cut."""
        kept = [(stage, count) for stage, count in zip(order, counts, strict=True) if count]
        return self._with([stage for stage, _ in kept], settled(self.spec, [count for _, count in kept]))

    def _with(self, order: Sequence[Stage], counts: Sequence[int]) -> Board:
        """The board of these stages in order; those left without a layer go."""
        ends = [sum(counts[: i + 1]) for i in range(len(counts))]
        stages = tuple(
            Stage(stage.device, start, end, stage.members)
            for stage, (start, end) in zip(order, pairwise([0, *ends]), strict=True)
            if end > start
        )
        if stages == self.stages:
            raise EditError("the board is like that already")
        for layer in sorted({stage.start for stage in stages} - {stage.start for stage in self.stages}):
            if why := self.spec.uncut(layer):
                raise EditError(f"there can be no boundary before layer {layer}: {why}")
        plan = replace(
            self.plan, stages=stages, requests=0, tokens=0, forecast=None, why=BY_HAND, obstacle=""
        )
        return self._at(plan, (*self.past, self.plan), ())

    def _at(self, plan: Plan, past: tuple[Plan, ...], future: tuple[Plan, ...]) -> Board:
        return Board(plan, self.spec, self.devices, past=past, future=future)

    def _place(self, device: str) -> int:
        for place, stage in enumerate(self.stages):
            if device in stage.devices:
                return place
        raise EditError(f"{device} is not in the plan")

    def _must_have(self, place: int) -> None:
        if not 0 <= place < len(self.stages):
            raise EditError(f"there is no boundary there; the plan has {len(self.stages)} stages")

    def _must_be_ready(self, device: str) -> None:
        if reason := self.devices.get(device, "is not in the cluster"):
            raise EditError(f"{device} {reason}")

    def _must_have_boundaries(self) -> None:
        if self.together:
            raise EditError(TOGETHER)


def settled(spec: ModelSpec, counts: Sequence[int]) -> list[int]:
    """Layers a stage, each boundary moved to the nearest layer before which the model can be cut. Raises
    EditError where there are too few."""
    cuts = nearest([*accumulate(counts)][:-1], spec.cuts)
    if cuts is None:
        first = next(layer for layer in range(1, spec.layers) if spec.uncut(layer))
        raise EditError(f"{spec.name} cannot be cut into {len(counts)} stages: {spec.uncut(first)}")
    return [end - start for start, end in pairwise([0, *cuts, spec.layers])]


def first_plan(spec: ModelSpec, devices: Sequence[str], context: int) -> Plan:
    """A plan to start from where there is none: the layers spread evenly over `devices`."""
    names = devices[: len(spec.cuts) + 1]
    counts = settled(spec, proportional([1.0] * len(names), spec.layers))
    ends = [sum(counts[: i + 1]) for i in range(len(counts))]
    return Plan(
        model=spec.name,
        layers=spec.layers,
        stages=tuple(Stage(n, end - c, end) for n, c, end in zip(names, counts, ends, strict=True)),
        context=min(context, spec.context),
        backend="sockets",
        why=BY_HAND,
    )

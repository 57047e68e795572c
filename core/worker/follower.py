# pyright: basic
"""A rank above 0: it does what comes from the left, in that order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from .answer import answer
from .bands import Band, Bands
from .caches import Caches
from .control import Channel, Stopped
from .meter import Clock, Meter
from .sample import Drawn, Sampler
from .schedule import Schedule, slots_of
from .stage import Stage
from .wire import Flag, Frame, Lost, Op, Wire

CLEAR = 256  # steps between two emptyings of MLX's buffer cache, as mlx_lm does


@dataclass
class Answering:
    """A request in a slot."""

    name: str
    sampler: Sampler
    meter: Meter


class Follower:
    """Serves until it is stopped. The first frame that does not fit what this rank knows ends the run."""

    def __init__(self, channel: Channel, stage: Stage, wire: Wire, left: int) -> None:
        self._channel, self._stage, self._wire, self._left = channel, stage, wire, left
        self._clock = Clock(channel)
        self._schedule = Schedule()
        self._caches: dict[int, Caches] = {}
        self._bands = Bands(stage)
        self._answering: dict[int, Answering] = {}
        self._steps = 0

    def serve(self) -> None:
        """Raises Stopped, and Lost."""
        while True:
            if not self._answering:
                # On the control channel, not on the wire: a rank that waits in MLX's ring takes a core.
                self._clock.now("idle")
                self._channel.waiting(block=True)
            self._clock.now("waiting")
            frame = self._wire.receive()
            self._clock.now("busy")
            if self._schedule.follow(frame) != frame.chain:
                raise self._astray(f"at its {frame.op.name} of slot {frame.slot} the ranks are out of step")
            match frame.op:
                case Op.BEGIN:
                    self._begin(frame)
                case Op.BAND:
                    self._form(frame)
                case Op.STEP:
                    self._step(frame)
                case Op.END:
                    self._end(frame)
                case Op.DROP:
                    self._bands.loosen(frame.slot)
                    self._caches.pop(frame.slot, None)
                    mx.clear_cache()
                case Op.STOP:
                    pass
                case _:
                    raise self._astray(f"a {frame.op.name} frame came the wrong way")
            if frame.op is not Op.STEP and not self._stage.last:
                self._wire.send(frame)
            if frame.op is Op.STOP:
                raise Stopped

    def _astray(self, reason: str) -> Lost:
        return Lost(self._left, "left", reason)

    def _begin(self, frame: Frame) -> None:
        request: dict[str, Any] = self._channel.request(frame.request)
        self._bands.loosen(frame.slot)
        caches = self._caches.get(frame.slot)
        if not frame.number:
            caches = self._caches[frame.slot] = self._stage.caches()
        elif caches is None or not caches.trim(frame.number):
            held = caches.offset if caches else 0
            raise self._astray(f"it keeps {frame.number} tokens, this rank has {held} it cannot cut")
        prompt: Any = [] if frame.tensor is None else frame.tensor.reshape(-1).tolist()
        if not self._answering:
            mx.reset_peak_memory()
        self._answering[frame.slot] = Answering(request["id"], Sampler(request, prompt), Meter(self._clock))

    def _form(self, frame: Frame) -> None:
        slots = slots_of(frame)
        if strange := [slot for slot in slots if slot not in self._answering]:
            raise self._astray(f"a band of slots {slots}, of which this rank does not know {strange}")
        self._bands.form(frame.slot, {slot: self._caches[slot] for slot in slots})

    def _expected(self, frame: Frame) -> tuple[Caches | Band, list[Answering], mx.array]:
        """What a step needs. Raises Lost where it does not fit."""
        if Flag.MERGED in frame.flags:
            held: Caches | Band | None = self._bands.get(frame.slot)
            slots = held.slots if isinstance(held, Band) else []
        else:
            self._bands.loosen(frame.slot)
            held, slots = self._caches.get(frame.slot), [frame.slot]
        answering = [one for slot in slots if (one := self._answering.get(slot)) is not None]
        tensor = frame.tensor
        if held is None or len(answering) < len(slots) or tensor is None or held.offset != frame.number:
            known = held.offset if held else 0
            raise self._astray(f"a step from token {frame.number} on, where this rank has {known}")
        if isinstance(held, Band):
            tensor = tensor.reshape(len(slots), 1, -1)
        return held, answering, tensor

    def _forward(self, given: mx.array, held: Caches | Band) -> mx.array:
        return held.forward(given) if isinstance(held, Band) else self._stage.forward(given, held)

    def _step(self, frame: Frame) -> None:
        stage = self._stage
        held, answering, hidden = self._expected(frame)
        meters = [one.meter for one in answering]
        self._clock.begin(meters, decoding=Flag.SAMPLE in frame.flags)
        out = self._forward(stage.adopt(hidden, Flag.LIFTED in frame.flags), held)
        if not stage.last:
            said = hidden_frame(stage, held, frame, out)
        elif Flag.SAMPLE in frame.flags:
            said = answer(frame, Drawn([one.sampler for one in answering], out).picks())
        else:
            assert isinstance(held, Caches)
            held.evaluate()  # logits nobody asked for are never computed
            said = Frame(Op.FED, frame.slot, frame.number, chain=frame.chain)
        self._clock.end(meters, "sending")
        self._wire.send(said)
        self._count()

    def _count(self) -> None:
        self._steps += 1
        if self._steps % CLEAR == 0:
            mx.clear_cache()

    def _end(self, frame: Frame) -> None:
        self._bands.loosen(frame.slot)
        answering = self._answering.pop(frame.slot, None)
        if answering is not None:
            answering.meter.report(self._channel, answering.name)
        self._channel.request(frame.request)  # its word may come after rank 0 is done with it
        self._channel.forget(frame.request)
        if not self._answering:
            mx.clear_cache()


def hidden_frame(stage: Stage, held: Caches | Band, step: Frame, out: mx.array) -> Frame:
    """The STEP for the right neighbour, computed."""
    mx.eval(out)
    if Flag.SAMPLE not in step.flags and isinstance(held, Caches):
        held.evaluate()
    mark = Flag.LIFTED if stage.lifted else Flag.NONE
    flags = (step.flags & ~Flag.LIFTED) | mark
    tensor = out.reshape(1, -1, out.shape[-1]) if Flag.MERGED in flags else out
    return Frame(Op.STEP, step.slot, step.number, flags=flags, chain=step.chain, tensor=tensor)

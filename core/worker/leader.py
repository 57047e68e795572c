# pyright: basic
"""Rank 0: prompts in, tokens out. It decides what every rank does next; alone it needs no wire.

A step is a piece of one prompt, or a token of every request in a group. Steps do not wait for one another's
answers: while one is on its way through the stages to the right, the next one is computed here. A rank alone
asks for the next token before it has seen the last one, as mlx_lm does, so that what computes never waits for
what plans.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import mlx.core as mx

from .answer import picks_of
from .bands import Band, Bands
from .caches import Caches
from .control import Channel, Stopped
from .follower import CLEAR, hidden_frame
from .groups import Group, Groups
from .meter import Clock, Meter
from .sample import Drawn, Sampler, wants_prompt
from .schedule import Schedule, band_frame
from .share import PREFILL, Share
from .slots import Slots
from .stage import Stage
from .stream import Stream
from .tokens import PromptError, Tokens
from .wire import Flag, Frame, Lost, Op, Wire

CHUNK = 128  # prompt tokens a prefill step, where the request names none
STALL = 0.5  # seconds that a piece of a prompt may take while others decode, if ...
LEAST = 16  # ... so many tokens take no longer
PIECES = 4  # of a prompt a stage, where small pieces cost nothing
LOOK = 0.05  # seconds between two looks at the console's word while a prompt is all there is to wait for
MOST = 8  # requests answered at a time, where the console names no number ...
READ = 8  # ... and of those, prompts read in turns: with more, everybody's first token would wait for all


@dataclass(frozen=True)
class Asked:
    """A step that is under way: a group's, or a prompt's up to its token `done`."""

    chain: int
    streams: list[Stream]
    group: Group | None = None
    done: int = 0


class Leader:
    """Serves until it is stopped."""

    def __init__(
        self, channel: Channel, stage: Stage, wire: Wire | None, tokens: Tokens, start: dict[str, Any]
    ) -> None:
        """`start` may name `context`, the tokens one request may come to, `cached`, those that all KV caches
        may hold together, and `streams`, the requests answered at a time."""
        self._channel, self._stage, self._wire, self._tokens = channel, stage, wire, tokens
        self._clock = Clock(channel)
        self._context = int(start.get("context") or 0)
        self._most = int(start.get("streams") or MOST)
        self._stages = 1 if wire is None else len(start.get("groups") or ()) or int(start["size"])
        self._single = int(start["size"]) == 1
        self._window = self._stages + 1  # so many steps on their way that no stage has to wait for this one
        self._schedule = Schedule()
        self._bands = Bands(stage)
        self._slots = Slots(int(start.get("cached") or self._context), stage.caches, self._drop)
        self._groups = Groups(self._stages, stage.merges, self._slots.room)
        self._pace = 1e9  # prompt tokens a second, here
        self._share = Share(float(start.get("prefill_share") or PREFILL))
        # Prompts become tokens in a thread: for a long one that takes seconds, and others are being answered.
        self._reader = ThreadPoolExecutor(1, "prompts")
        self._reading: dict[int, tuple[Future[list[int]], float]] = {}  # since when
        self._queue: dict[int, Stream] = {}  # accepted, without a slot
        self._streams: list[Stream] = []  # with one
        self._prefilling: deque[Stream] = deque()  # of those, in the order of their turns
        self._asked: deque[Asked] = deque()  # answers come in the order of the steps
        self._steps = 0

    def serve(self) -> None:
        """Raises Stopped, and Lost."""
        try:
            while True:
                if not self._streams:
                    self._clock.now("idle")
                free = not self._streams and not self._queue
                if free and self._reading:
                    wait([read for read, _ in self._reading.values()], LOOK, FIRST_COMPLETED)
                self._hear(self._channel.waiting(block=free and not self._reading))
                self._admit()
                computed = self._compute()
                for stream in self._streams:
                    stream.tell()
                self._channel.flush()
                if computed:
                    while self._wire is not None and self._asked and self._wire.arrived():
                        self._receive()
                elif self._asked:
                    self._receive()
                self._close()
        except Stopped:
            if self._streams or self._queue:  # only then do the others listen to this rank
                with contextlib.suppress(Lost):
                    self._send(Frame(Op.STOP))
            raise

    def _send(self, frame: Frame) -> None:
        frame = self._told(frame)
        if self._wire is not None:
            self._wire.send(frame)

    def _told(self, frame: Frame) -> Frame:
        """The frame as the next in the schedule of all ranks."""
        return replace(frame, chain=self._schedule.follow(frame))

    def _drop(self, slot: int) -> None:
        self._bands.loosen(slot)
        self._send(Frame(Op.DROP, slot))

    def _hear(self, numbers: list[int]) -> None:
        """Read the prompts of the requests that are new; queue the requests whose prompts have been read."""
        known = self._queue.keys() | self._reading.keys() | {stream.number for stream in self._streams}
        for number in numbers:
            if number not in known:
                read = self._reader.submit(self._tokens.prompt, self._channel.request(number), self._context)
                self._reading[number] = read, time.perf_counter()
        for number, (read, began) in list(self._reading.items()):
            if read.done():
                del self._reading[number]
                self._queue[number] = self._accepted(self._channel.request(number), read, began)

    def _accepted(self, request: dict[str, Any], read: Future[list[int]], began: float) -> Stream:
        """The request; over already when it cannot be answered."""
        try:
            prompt = read.result()
        except PromptError as error:
            stream = Stream(self._channel, request, [0], began)
            stream.prompt, stream.why, stream.detail = [], "error", str(error)
            return stream
        stream = Stream(self._channel, request, prompt, began)
        if self._context:
            stream.limit = min(stream.limit, self._context - len(prompt))
        if stream.limit <= 0:
            stream.why = "length"
        return stream

    def _admit(self) -> None:
        """Give slots to queued requests, in order; the first that finds no room holds up those behind it, but
        for those that are over."""
        for number, stream in [one for one in self._queue.items() if one[1].over]:
            del self._queue[number]
            self._end(stream)
        for number, stream in sorted(self._queue.items(), key=lambda one: self._channel.place(one[1].name)):
            if len(self._streams) >= self._most or len(self._prefilling) >= READ:
                return
            found = self._slots.take(stream.prompt, len(stream.prompt) + stream.limit)
            if found is None:
                return
            slot, reused = found
            del self._queue[number]
            if not self._streams:
                mx.reset_peak_memory()
            stream.open(slot, reused, Meter(self._clock), self._tokens)
            self._streams.append(stream)
            (self._prefilling if stream.left else self._groups).append(stream)
            ids = None
            if self._wire is None:
                stream.sampler = Sampler(stream.request, stream.prompt)
            elif wants_prompt(stream.request):
                ids = mx.array(stream.prompt, mx.int32).reshape(1, -1, 1)
            self._send(Frame(Op.BEGIN, slot.index, reused, number, tensor=ids))

    def _compute(self) -> bool:
        """Compute one step here and hand it on; False where there is none to be computed now."""
        crowded = len(self._asked) >= self._window or self._groups.ahead
        if self._prefilling and not crowded and (self._share.open() or not self._groups.count):
            stream = self._prefilling.popleft()
            if not stream.over:
                self._prefill(stream)
            return True
        group = self._groups.next()
        self._slots.pad(self._groups.padding)
        if group is None:
            return False
        self._decode(group)
        return True

    def _prefill(self, stream: Stream) -> None:
        """The next piece of a prompt, all but its last token: that goes alone, as in mlx_lm."""
        slot, meter = stream.slot, stream.meter
        assert slot is not None and meter is not None
        at = stream.fed_tokens
        chunk = max(1, int(stream.request.get("chunk") or CHUNK))
        if self._wire is not None and self._stage.linear:  # the first piece is the others' start
            chunk = min(chunk, max(LEAST, -(-len(stream.prompt) // (PIECES * self._stages))))
        if self._groups.count:  # who decodes is not to wait long for its turn
            chunk = min(chunk, max(LEAST, int(self._pace * STALL)))
        ids = stream.prompt[at : min(at + chunk, len(stream.prompt) - 1)]
        slot.tokens += ids
        began = time.perf_counter()
        self._clock.begin([meter], decoding=False)
        step = self._told(Frame(Op.STEP, slot.index, at))
        out = self._forward(step, mx.array([ids]), slot.caches)
        if self._wire is not None:
            frame = hidden_frame(self._stage, slot.caches, step, out)
            self._clock.end([meter], "sending")
            self._asked.append(Asked(step.chain, [stream], done=stream.fed_tokens))
            stream.asked += 1
            self._wire.send(frame)
            self._clock.now("busy")
        else:
            slot.caches.evaluate()
            self._clock.end([meter], "busy")
            stream.prefilled(stream.fed_tokens)
        seconds = time.perf_counter() - began
        self._share.took(seconds)
        self._pace = len(ids) / seconds
        (self._prefilling if stream.left else self._groups).append(stream)

    def _decode(self, group: Group) -> None:
        """The next token of every request in a group."""
        if self._wire is None:
            self._sample(group)
            return
        held, step, out = self._fed(group)
        frame = hidden_frame(self._stage, held, step, out)
        self._asked.append(Asked(step.chain, group.streams[:], group))
        self._clock.end(_meters(group), "sending")
        self._wire.send(frame)
        self._clock.now("busy")

    def _sample(self, group: Group) -> None:
        """The same where all of the model is here. A rank alone begins what follows before it looks."""
        if group.ahead is not None and all(stream.over for stream in group.streams):
            self._seen(group)  # nobody waits for it
            group.ahead = None
            return
        drawn = group.ahead or self._drawn(group)
        going_on = self._single and self._groups.steady and not self._prefilling
        going_on = going_on and all(map(_foreseeable, group.streams))
        group.ahead = self._drawn(group, drawn.ids) if going_on else None
        picks = drawn.picks()
        self._seen(group)
        for stream, one in zip(group.streams, picks, strict=True):
            if group.ahead is not None and stream.slot is not None:
                stream.slot.tokens.append(one.token)
            stream.take(one.token, one.told)

    def _drawn(self, group: Group, ids: mx.array | None = None) -> Drawn:
        """A step of a group begun, see `_fed`, and tokens chosen."""
        _, _, out = self._fed(group, ids)
        return Drawn([one.sampler for one in group.streams if one.sampler is not None], out)

    def _seen(self, group: Group) -> None:
        """One step less of a group is under way."""
        self._clock.end(_meters(group), "busy")
        group.asked = False
        for stream in group.streams:
            stream.asked -= 1

    def _fed(self, group: Group, ids: mx.array | None = None) -> tuple[Caches | Band, Frame, mx.array]:
        """A step of a group begun with its last tokens; or with these [B, 1], which will be its last tokens
        when they are known, and are to be noted then."""
        if ids is None:
            ids = mx.array([[stream.token] for stream in group.streams])
            for stream in group.streams:
                assert stream.slot is not None
                stream.slot.tokens.append(stream.token)
        held, step = self._held(group)
        self._clock.begin(_meters(group), decoding=True)
        for stream in group.streams:
            stream.asked += 1
        return held, step, self._forward(step, ids, held)

    def _held(self, group: Group) -> tuple[Caches | Band, Frame]:
        """The caches of a group, and the STEP that is about them."""
        slots = {one.slot.index: one.slot.caches for one in group.streams if one.slot is not None}
        if len(slots) == 1:
            [(index, caches)] = slots.items()
            self._bands.loosen(index)
            return caches, self._told(Frame(Op.STEP, index, caches.offset, flags=Flag.SAMPLE))
        band = self._bands.get(group.index)
        if band is None or band.slots != list(slots):
            band = self._bands.form(group.index, slots)
            self._send(band_frame(group.index, band.slots))
        flags = Flag.SAMPLE | Flag.MERGED
        return band, self._told(Frame(Op.STEP, group.index, band.offset, flags=flags))

    def _forward(self, step: Frame, ids: mx.array, held: Caches | Band) -> mx.array:
        """This stage's pass, still lazy."""
        self._steps += 1
        if self._steps % CLEAR == 0:
            mx.clear_cache()
        return held.forward(ids) if isinstance(held, Band) else self._stage.forward(ids, held)

    def _receive(self) -> None:
        """Take one answer from the last rank."""
        assert self._wire is not None
        self._clock.now("waiting")
        frame = self._wire.receive()
        asked = self._asked.popleft()
        if frame.op is not (Op.TOKEN if asked.group else Op.FED) or frame.chain != asked.chain:
            raise Lost(-1, "left", f"a {frame.op.name} frame came, not what was asked for: out of step")
        for stream in asked.streams:
            stream.asked -= 1
        if asked.group is None:
            [stream] = asked.streams
            stream.prefilled(asked.done)
            return
        asked.group.asked = False
        for stream, one in zip(asked.streams, picks_of(frame, len(asked.streams)), strict=True):
            stream.take(one.token, one.told if stream.request.get("logprobs") is not None else None)

    def _close(self) -> None:
        """Part with the requests that are over and have nothing under way."""
        for stream in [one for one in self._streams if one.over and not one.asked]:
            self._streams.remove(stream)
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        if stream.slot is not None:
            self._bands.loosen(stream.slot.index)
            self._slots.release(stream.slot)
        self._send(Frame(Op.END, stream.slot.index if stream.slot else -1, request=stream.number))
        if stream.meter is not None:
            stream.meter.report(self._channel, stream.name)
        self._channel.forget(stream.number)
        stream.done()
        if not self._streams:
            mx.clear_cache()


def _meters(group: Group) -> list[Meter]:
    return [stream.meter for stream in group.streams if stream.meter is not None]


def _foreseeable(stream: Stream) -> bool:
    """Whether what follows its next token can be begun before that is known; its first one nobody is to wait
    for longer."""
    free = stream.sampler is not None and not stream.sampler.looks_back
    return free and stream.count > 0 and not stream.ends

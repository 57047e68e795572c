# pyright: basic
"""Rank 0: prompts in, tokens out. It decides what every rank does next; alone it needs no wire.

Requests take turns, a prefill chunk or a decode step each, and do not wait for one another's answers: while
one is on its way through the stages to the right, the next one is computed here.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import mlx.core as mx

from .control import Channel, Stopped
from .follower import CLEAR, hidden_frame
from .meter import Clock, Meter
from .sample import Sampler, wants_prompt
from .slots import Slots
from .stage import Stage
from .stream import Stream
from .tokens import PromptError, Tokens
from .wire import Flag, Frame, Lost, Op, Wire

CHUNK = 128  # prompt tokens a prefill step, where the request names none
LOOK = 0.05  # seconds between two looks at the console's word while a prompt is all there is to wait for
MOST = 8  # requests answered at a time, where the console names no number


class Leader:
    """Serves until it is stopped."""

    def __init__(
        self, channel: Channel, stage: Stage, wire: Wire | None, tokens: Tokens, start: dict[str, Any]
    ) -> None:
        """`start` may name `context`, the tokens all KV caches may hold together, and `streams`."""
        self._channel, self._stage, self._wire, self._tokens = channel, stage, wire, tokens
        self._clock = Clock(channel)
        self._context = int(start.get("context") or 0)
        self._most = int(start.get("streams") or MOST)
        # So many prefill chunks may be on their way that no stage has to wait for this one.
        self._window = int(start["size"]) + 1
        self._slots = Slots(self._context, stage.caches, lambda slot: self._send(Frame(Op.DROP, slot)))
        # Prompts become tokens in a thread: for a long one that takes seconds, and others are being answered.
        self._reader = ThreadPoolExecutor(1, "prompts")
        self._reading: dict[int, tuple[Future[list[int]], float]] = {}  # since when
        self._queue: dict[int, Stream] = {}  # accepted, without a slot
        self._streams: deque[Stream] = deque()  # with one, in the order of their turns
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
                stream = self._next()
                if stream is not None:
                    self._feed(stream)
                    while self._wire is not None and self._under_way and self._wire.arrived():
                        self._receive()
                elif self._under_way:
                    self._receive()
                self._close()
        except Stopped:
            if self._streams or self._queue:  # only then do the others listen to this rank
                with contextlib.suppress(Lost):
                    self._send(Frame(Op.STOP))
            raise

    @property
    def _under_way(self) -> int:
        return sum(stream.under_way for stream in self._streams)

    def _send(self, frame: Frame) -> None:
        if self._wire is not None:
            self._wire.send(frame)

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
        """Give slots to queued requests, in order; the first that finds no room holds up those behind it."""
        for number, stream in list(self._queue.items()):
            if stream.over:
                del self._queue[number]
                self._end(stream)
                continue
            if len(self._streams) >= self._most:
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
            ids = None
            if self._wire is None:
                stream.sampler = Sampler(stream.request, stream.prompt)
            elif wants_prompt(stream.request):
                ids = mx.array(stream.prompt, mx.int32).reshape(1, -1, 1)
            self._send(Frame(Op.BEGIN, slot.index, reused, number, tensor=ids))

    def _next(self) -> Stream | None:
        """The request whose turn it is and that has something to compute now."""
        crowded = self._under_way >= self._window
        for _ in range(len(self._streams)):
            stream = self._streams[0]
            self._streams.rotate(-1)
            assert stream.slot is not None
            prefilling = len(stream.slot.tokens) < len(stream.prompt) - 1
            if not stream.over and not stream.asked and not (prefilling and crowded):
                return stream
        return None

    def _feed(self, stream: Stream) -> None:
        """Compute one request's next step here and hand it on."""
        slot, meter = stream.slot, stream.meter
        assert slot is not None and meter is not None
        at, last = len(slot.tokens), len(stream.prompt) - 1
        # The last prompt token goes alone, as in mlx_lm, so that sums are made in the same order.
        chunk = max(1, int(stream.request.get("chunk") or CHUNK))
        ids = stream.prompt[at : min(at + chunk, last)] if at < last else [stream.token]
        flags = Flag.NONE if at < last else Flag.SAMPLE
        slot.tokens += ids
        meter.begin()
        out = self._stage.forward(mx.array([ids]), slot.caches)
        self._steps += 1
        if self._steps % CLEAR == 0:
            mx.clear_cache()
        if self._wire is not None:
            frame = hidden_frame(self._stage, slot.caches, Frame(Op.STEP, slot.index, at, flags=flags), out)
            meter.end()
            if flags is Flag.SAMPLE:
                stream.asked = True
            else:
                stream.fed.append(at + len(ids))
            self._wire.send(frame)
        elif flags is Flag.SAMPLE:
            assert stream.sampler is not None
            token, told = stream.sampler.pick(out)
            meter.end("busy")
            stream.take(token, _listed(told))
        else:
            slot.caches.evaluate()
            meter.end("busy")
            stream.prefilled(at + len(ids))

    def _receive(self) -> None:
        """Take one answer from the last rank."""
        assert self._wire is not None
        self._clock.now("waiting")
        frame = self._wire.receive()
        stream = next((one for one in self._streams if one.slot and one.slot.index == frame.slot), None)
        if frame.op is Op.TOKEN and stream is not None and stream.asked:
            stream.asked = False
            stream.take(frame.number, _listed(frame.tensor))
        elif frame.op is Op.FED and stream is not None and stream.fed:
            stream.prefilled(stream.fed.popleft())
        else:
            raise Lost(-1, "left", f"a {frame.op.name} frame came that nobody asked for")

    def _close(self) -> None:
        """Part with the requests that are over and have nothing under way."""
        for stream in [one for one in self._streams if one.over and not one.under_way]:
            self._streams.remove(stream)
            self._end(stream)

    def _end(self, stream: Stream) -> None:
        if stream.slot is not None:
            self._slots.release(stream.slot)
        self._send(Frame(Op.END, stream.slot.index if stream.slot else -1, request=stream.number))
        if stream.meter is not None:
            stream.meter.report(self._channel, stream.name)
        self._channel.forget(stream.number)
        stream.done()
        if not self._streams:
            mx.clear_cache()


def _listed(told: mx.array | None) -> list[list[float]] | None:
    listed: Any = None if told is None else told.reshape(-1, 2).tolist()
    return listed

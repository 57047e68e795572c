# pyright: basic
"""Serving requests: rank 0 leads (prefill, then decode token by token), the others follow what it sends."""

from __future__ import annotations

import time
from typing import Any

import mlx.core as mx

from .control import Channel
from .sample import Sampler
from .stage import Stage
from .tokens import PromptError, Tokens
from .wire import Flag, Frame, Lost, Op, Wire

CHUNK = 128  # prompt tokens a prefill step, where the request names none
CLEAR = 256  # decode steps between two emptyings of MLX's buffer cache, as mlx_lm does


class Meter:
    """Seconds one rank spent computing, and waiting for or handing over to its neighbours, in one request."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._seconds = {"busy": 0.0, "waiting": 0.0}
        self._state, self._since = "busy", time.perf_counter()
        self.steps = 0
        mx.reset_peak_memory()
        channel.now("busy")

    def now(self, state: str) -> None:
        """From here on "busy" or "waiting"."""
        moment = time.perf_counter()
        self._seconds[self._state] += moment - self._since
        self._state, self._since = state, moment
        self._channel.now(state, self._channel.step + (state == "busy"))

    def report(self, request: str) -> None:
        """Send the totals; the rank is idle from here."""
        self.now("busy")
        self._channel.emit(
            "timed",
            id=request,
            compute_s=round(self._seconds["busy"], 6),
            wait_s=round(self._seconds["waiting"], 6),
            steps=self.steps,
            peak=mx.get_peak_memory(),
        )
        mx.clear_cache()
        self._channel.now("idle")


class Follower:
    """A rank above 0: reacts to its left neighbour for the length of one request."""

    def __init__(self, channel: Channel, stage: Stage, wire: Wire, left: int) -> None:
        self._channel, self._stage, self._wire, self._left = channel, stage, wire, left
        self._served = 0

    def serve(self, request: dict[str, Any]) -> None:
        """Follow one request to its END. Raises Lost."""
        stage, wire = self._stage, self._wire
        self._served += 1
        sampler, meter = Sampler(request), Meter(self._channel)
        while True:
            meter.now("waiting")
            frame = wire.receive()
            meter.now("busy")
            if frame.request != self._served:
                raise Lost(self._left, "left", f"it serves request {frame.request}, this rank {self._served}")
            if frame.op is Op.STEP and frame.tensor is not None:
                self._step(frame, frame.tensor, sampler, meter)
            elif frame.op is Op.KEEP:
                kept = stage.keep(frame.number)
                if kept != frame.number:
                    raise Lost(self._left, "left", f"it keeps {frame.number} tokens, this rank {kept}")
                if not stage.last:
                    wire.send(frame)
            elif frame.op is Op.END:
                meter.report(str(request["id"]))
                wire.send(frame)
                return
            else:
                raise Lost(self._left, "left", f"a {frame.op.name} frame came the wrong way")

    def _step(self, frame: Frame, hidden: mx.array, sampler: Sampler, meter: Meter) -> None:
        stage = self._stage
        meter.steps += 1
        out = stage.forward(stage.adopt(hidden, Flag.LIFTED in frame.flags))
        if not stage.last:
            _send_hidden(stage, self._wire, meter, out, frame.request, frame.flags)
        elif Flag.SAMPLE in frame.flags:
            token = sampler.pick(out)
            meter.now("waiting")
            self._wire.send(Frame(Op.TOKEN, frame.request, token))
        else:
            stage.evaluate()  # logits nobody asked for are never computed
        if meter.steps % CLEAR == 0:
            mx.clear_cache()


class Leader:
    """Rank 0: prompt in, tokens out. Alone it needs no wire."""

    def __init__(self, channel: Channel, stage: Stage, wire: Wire | None, tokens: Tokens) -> None:
        self._channel, self._stage, self._wire, self._tokens = channel, stage, wire, tokens
        self._served = 0
        self._fed: list[int] = []  # the tokens whose KV every rank holds

    def serve(self, request: dict[str, Any]) -> None:
        """Answer one request; always ends with one `done` event. Raises Lost."""
        name = str(request["id"])
        self._served += 1
        meter = Meter(self._channel)
        run = Run(self._channel, name)
        try:
            prompt = self._tokens.prompt(request)
            self._generate(request, prompt, run, meter)
        except PromptError as error:
            run.why, run.detail = "error", str(error)
        if self._wire is not None:
            meter.now("waiting")
            self._wire.send(Frame(Op.END, self._served))
            # Once round: after this nothing is in flight, and every rank waits for the console again.
            if self._wire.receive().op is not Op.END:
                raise Lost(-1, "left", "something else than the END came back")
        meter.report(name)
        self._channel.forget(name)
        run.done()

    def _generate(self, request: dict[str, Any], prompt: list[int], run: Run, meter: Meter) -> None:
        sampler = Sampler(request)
        run.prompt = len(prompt)
        if self._channel.cancelled(run.name):
            run.why = "cancel"
            return
        position = run.reused = self._reuse(prompt)
        chunk = max(1, int(request.get("chunk") or CHUNK))
        limit = int(request.get("max_tokens") or 0)
        # The last prompt token goes alone, as in mlx_lm, so that sums are made in the same order.
        while position < len(prompt) - 1:
            end = min(position + chunk, len(prompt) - 1)
            self._feed(prompt[position:end], meter)
            position = end
            self._channel.emit("prefill", id=run.name, done=position, total=len(prompt))
            if self._channel.cancelled(run.name):
                run.why = "cancel"
                return
        mx.clear_cache()
        text = self._tokens.detokenizer([int(one) for one in request.get("resume") or []])
        token = prompt[-1]
        while run.count < limit:
            token = self._ask(token, sampler, meter)
            if run.count == 0:
                self._channel.emit("prefill", id=run.name, done=len(prompt), total=len(prompt))
            run.tick()
            if token in self._tokens.eos:
                run.why = "stop"
                break
            text.add_token(token)
            run.count += 1
            self._channel.emit("tokens", id=run.name, ids=[token], text=text.last_segment)
            if self._channel.cancelled(run.name):
                run.why = "cancel"
                break
        text.finalize()
        if rest := text.last_segment:
            self._channel.emit("tokens", id=run.name, ids=[], text=rest)

    def _reuse(self, prompt: list[int]) -> int:
        """Keep the longest common prefix of the last request on all ranks; its length (0: started afresh)."""
        common = 0
        # The last prompt token is always fed again: its logits are what is wanted.
        for ours, theirs in zip(prompt[:-1], self._fed, strict=False):
            if ours != theirs:
                break
            common += 1
        kept = self._stage.keep(common)
        self._fed = prompt[:kept]
        if self._wire is not None:
            self._wire.send(Frame(Op.KEEP, self._served, kept))
        return kept

    def _feed(self, ids: list[int], meter: Meter) -> None:
        """One prefill step. Does not wait for the ranks to the right, so that stages overlap."""
        meter.now("busy")
        meter.steps += 1
        self._fed += ids
        out = self._stage.forward(mx.array([ids]))
        if self._wire is None:
            self._stage.evaluate()
        else:
            _send_hidden(self._stage, self._wire, meter, out, self._served, Flag.NONE)

    def _ask(self, token: int, sampler: Sampler, meter: Meter) -> int:
        """One decode step: feed a token, get the next one."""
        meter.now("busy")
        meter.steps += 1
        if meter.steps % CLEAR == 0:
            mx.clear_cache()
        self._fed.append(token)
        out = self._stage.forward(mx.array([[token]]))
        if self._wire is None:
            return sampler.pick(out)
        _send_hidden(self._stage, self._wire, meter, out, self._served, Flag.SAMPLE)
        frame = self._wire.receive()
        meter.now("busy")
        if frame.op is not Op.TOKEN or frame.request != self._served:
            raise Lost(-1, "left", f"a {frame.op.name} frame came instead of a token")
        return frame.number


class Run:
    """What is counted of one request, for its `done` event."""

    def __init__(self, channel: Channel, name: str) -> None:
        self._channel, self.name = channel, name
        self.why, self.detail = "length", ""
        self.prompt = self.reused = self.count = 0
        self._sampled = 0  # with the end-of-sequence token, which is not counted as generated
        self._begin = time.perf_counter()
        self._first = self._last = 0.0

    def tick(self) -> None:
        """A token has come back."""
        self._last = time.perf_counter()
        self._first = self._first or self._last
        self._sampled += 1

    def done(self) -> None:
        """Report the end."""
        ttft = self._first - self._begin if self._sampled else None
        decode = (self._sampled - 1) / (self._last - self._first) if self._sampled > 1 else None
        self._channel.emit(
            "done",
            id=self.name,
            why=self.why,
            detail=self.detail,
            prompt_tokens=self.prompt,
            reused_tokens=self.reused,
            tokens=self.count,
            ttft_s=None if ttft is None else round(ttft, 6),
            prefill_tps=None if ttft is None else round((self.prompt - self.reused) / ttft, 3),
            decode_tps=None if decode is None else round(decode, 3),
        )


def _send_hidden(stage: Stage, wire: Wire, meter: Meter, out: mx.array, request: int, flags: Flag) -> None:
    """Compute hidden states, then hand them to the right."""
    if Flag.SAMPLE in flags:
        mx.eval(out)
    else:
        stage.evaluate(out)
    meter.now("waiting")
    mark = Flag.LIFTED if stage.lifted else Flag.NONE
    wire.send(Frame(Op.STEP, request, flags=(flags & ~Flag.LIFTED) | mark, tensor=out))

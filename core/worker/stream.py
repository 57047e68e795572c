# pyright: basic
"""One request on rank 0: what has been fed, what has come back, and the text made of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .control import Channel
from .meter import Meter
from .sample import Sampler
from .slots import Slot
from .tokens import Tokens


class Stream:
    """A request from its prompt to its `done` event."""

    def __init__(self, channel: Channel, request: dict[str, Any], prompt: list[int], began: float) -> None:
        self._channel, self.request, self.prompt = channel, request, prompt
        self.number, self.name = int(request["number"]), str(request["id"])
        self.limit = int(request.get("max_tokens") or 0)
        self.slot: Slot | None = None
        self.meter: Meter | None = None
        self.sampler: Sampler | None = None
        self.reused = self.count = 0
        self.token = prompt[-1]  # the next one to feed after the prompt
        self.asked = 0  # steps of it that are under way
        self.why, self.detail = "", ""
        self._began = began
        self._first = self._last = 0.0
        self._sampled = 0  # with the end-of-sequence token, which is not counted as generated
        self._stops = [str(one) for one in request.get("stop") or [] if one]
        self._untold: list[tuple[int, list[tuple[int, float]] | None]] = []  # tokens, see `tell`
        self._held = ""  # text that may be the beginning of a stop string
        self._resumed = [int(one) for one in request.get("resume") or []]  # said by an earlier run
        self._mute = False

    def open(self, slot: Slot, reused: int, meter: Meter, tokens: Tokens) -> None:
        """The request has its cache."""
        self.slot, self.reused, self.meter = slot, reused, meter
        self._tokens = tokens
        self._text = tokens.detokenizer()
        asked = self.prompt[: len(self.prompt) - len(self._resumed)]
        self._parts = tokens.parts(self.request, asked)
        self._eos = frozenset() if self.request.get("ignore_eos") else tokens.eos
        self._mute = True  # all this was said, but may have ended inside a character, a word or a tool's call
        with self._telling():
            for token in self._resumed:
                self._text.add_token(token)
                self._say([token], self._text.last_segment)
        self._mute = False

    @property
    def over(self) -> bool:
        """Nothing more is to be asked for."""
        return bool(self.why) or self._channel.cancelled(self.name)

    @property
    def fed_tokens(self) -> int:
        """Tokens that its cache holds, or will when what is under way is done."""
        return len(self.slot.tokens) if self.slot else 0

    @property
    def left(self) -> bool:
        """Whether there is more of its prompt than the last token."""
        return self.fed_tokens < len(self.prompt) - 1

    @property
    def ends(self) -> bool:
        """Whether the token under way is certainly the last."""
        return self.over or self.count + 1 >= self.limit

    def prefilled(self, done: int) -> None:
        """So many tokens of the prompt are in every rank's cache."""
        self._channel.emit("prefill", id=self.name, done=done, total=len(self.prompt))

    def take(self, token: int, logprobs: list[tuple[int, float]] | None) -> None:
        """A token has come back; it means nothing where the one before it was the last. After a cancel it is
        still told: it may be in the caches. Text is made of it now only if that may end the request, or if
        somebody waits for it: the first one."""
        if self.why:
            return
        self._last = time.perf_counter()
        if not self._sampled:
            self._first = self._last
            self.prefilled(len(self.prompt))
        self._sampled += 1
        if token in self._eos:
            self.why = "stop"
            return
        self.token = token
        self.count += 1
        self._untold.append((token, logprobs))
        if self._stops or self.count == 1:
            self.tell()
        if not self.why and self.count >= self.limit:
            self.why = "length"

    def tell(self) -> None:
        """Make text of what has come; best while other ranks compute."""
        untold, self._untold = self._untold, []
        with self._telling():
            for token, logprobs in untold:
                self._text.add_token(token)
                self._say([token], self._text.last_segment, logprobs)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What goes wrong with a text ends its request and not the rank: asked again it would do so again."""
        try:
            yield
        except Exception as error:  # detokenizers and parsers are the model's and may raise anything
            self.why, self.detail = "error", f"no text for its tokens: {type(error).__name__}: {error}"

    def _say(self, ids: list[int], text: str, logprobs: list[tuple[int, float]] | None = None) -> None:
        """Emit tokens and text, cut at the first stop string, held back where one may be beginning."""
        text = self._held + text
        at = min((found for one in self._stops if (found := text.find(one)) >= 0), default=-1)
        if at >= 0:
            self.why, text, self._held = "stop", text[:at], ""
        else:
            longest = max((_overlap(text, one) for one in self._stops), default=0)
            text, self._held = text[: len(text) - longest], text[len(text) - longest :]
        told: dict[str, Any] = {"text": text} if self._parts is None else self._parts.take(text)
        if logprobs is not None:
            told["logprobs"] = [self._likely(one, value) for one, value in logprobs]
        self._emit(ids, told)

    def _emit(self, ids: list[int], told: dict[str, Any]) -> None:
        if not self._mute and (ids or any(told.values())):
            # The next step goes first, but for the first token, which somebody waits for.
            say = self._channel.emit if self.count == 1 else self._channel.later
            say("tokens", id=self.name, ids=ids, **told)

    def _likely(self, token: int, logprob: float) -> tuple[int, float, str]:
        # JSON knows no infinity; OpenAI's API says -9999 for what cannot come.
        return token, max(-9999.0, logprob), self._tokens.name(token)

    def _finish(self) -> None:
        """Emit what was held back."""
        self._text.finalize()
        stopped_by_text = self.why == "stop" and self._stops and self._sampled == self.count
        if not stopped_by_text:
            rest, self._stops = self._text.last_segment, []
            self._say([], rest)
        if self._parts is not None:
            self._emit([], self._parts.finish())

    def done(self) -> None:
        """Report the end."""
        cancelled = not self.why
        self.why = self.why or "cancel"
        if self._sampled:
            self.tell()
            with self._telling():
                self._finish()
        ttft = self._first - self._began if self._sampled else None
        decode = (self._sampled - 1) / (self._last - self._first) if self._sampled > 1 else None
        prefill = (len(self.prompt) - self.reused) / ttft if ttft else None
        self._channel.emit(
            "done",
            id=self.name,
            why="cancel" if cancelled else self.why,
            detail=self.detail,
            prompt_tokens=len(self.prompt) - len(self._resumed),
            reused_tokens=self.reused,
            tokens=len(self._resumed) + self.count,
            ttft_s=None if ttft is None else round(ttft, 6),
            prefill_tps=None if prefill is None else round(prefill, 3),
            decode_tps=None if decode is None else round(decode, 3),
        )


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)

"""Suites as the console asks for them: one at a time, with a pause and an end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from core import events as ev
from core.bench.bencher import Bencher, Ground
from core.bench.contenders import here
from core.bench.suite import Suite
from core.intents import why_not_bench
from core.models.fingerprint import fingerprint
from core.shelf import Shelf


class Benches:
    """The suite under way, if one is."""

    def __init__(self, ground: Ground, shelf: Shelf) -> None:
        self._ground, self._bus = ground, ground.bus
        self._shelf = shelf
        self._bencher: Bencher | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self, suite: Suite) -> None:
        """Measure a suite on the plans it names; says why where that cannot be."""
        if self._task is not None and not self._task.done():
            self._say("warning", "a suite is being measured")
            return
        self._task = asyncio.create_task(self._measure(suite))
        [ended] = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _measure(self, suite: Suite) -> None:
        state = self._bus.state
        spec, auto = state.model, state.auto
        if reason := why_not_bench(state):
            self._say("warning", reason)
            return
        assert spec is not None and auto is not None
        if suite.longest > spec.context:
            self._say(
                "warning",
                f"{suite.name} needs {suite.longest} tokens of context; {spec.name} has {spec.context}",
            )
            return
        kept, _ = await asyncio.to_thread(self._shelf.load)
        made = here(state, auto, max(auto.context, suite.room), kept)
        contenders = await asyncio.to_thread(made.of, suite)
        if state.by_hand and state.plan is not None:
            # What a person has put together is what he wants to see measured, beside the suite's own.
            contenders = [("by hand", state.plan), *contenders]
        for left_out in made.left_out:
            self._say("info", f"left out: {left_out}")
        if not contenders:
            self._say("warning", "none of the suite's plans can be made here")
            return
        model = await asyncio.to_thread(fingerprint, Path(spec.path))
        self._bencher = Bencher(self._ground, suite, contenders, spec.vocabulary, model)
        try:
            await self._bencher.run()
        finally:
            self._bencher = None

    def pause(self, paused: bool) -> None:
        """Hold back the next trial, or go on."""
        if self._bencher is not None:
            self._bencher.pause(paused)

    def abort(self) -> None:
        """End the suite, also before its first trial; its run goes on."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """End the suite, and return when it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _say(self, level: ev.Level, text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level=level, subject="bench", text=text))

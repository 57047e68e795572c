"""What `demo --chaos` does: faults that mend themselves, one after another, and no answer that is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from core.config import Recover
from core.faults import inject
from tests.e2e.rehearsed import rehearsed
from tests.e2e.until import LIMIT_S, soon

PROMPT = "Tell me all about it"
LONG = 600
FOREVER = 10 * LIMIT_S


class Scripted(Random):
    """Breaks the last rank's device, in these ways, and then nothing any more."""

    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self.kinds = list(kinds)

    def choice(self, seq: Sequence[Any]) -> Any:
        return self.kinds.pop(0) if "kill" in seq else seq[-1]

    def uniform(self, a: float, b: float) -> float:
        return a if self.kinds or b < 1 else FOREVER


async def test_a_slow_rank_is_slow_until_it_is_hastened_and_nobody_is_blamed(tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(3, 3), max_tokens=LONG) as live:
        request = await live.asked(PROMPT, tokens=5)
        worker = psutil.Process(live.bus.state.run.ranks[1].hello.pid)
        slow = asyncio.create_task(inject("slow", "demo-b", live.rehearsal, live.bus))
        await soon(lambda: worker.status() == psutil.STATUS_STOPPED, "the rank held up")
        before = len(live.bus.state.requests[request].ids)
        await live.until(
            lambda state: len(state.requests[request].ids) > before or state.requests[request].done,
            "a token all the same",
        )
        await inject("hasten", "demo-b", live.rehearsal, live.bus)
        async with asyncio.timeout(LIMIT_S):
            await slow
        assert worker.status() != psutil.STATUS_STOPPED
        answer = await live.answered(request)
        assert answer.done.why != "error"
        assert (answer.held, live.bus.state.run.blamed) == (0, None)
        assert [fault.kind for fault in live.bus.state.faults] == ["slow", "hasten"]


async def test_a_cluster_that_breaks_itself_again_and_again_answers_as_if_it_did_not(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.faults.CHAOS_S", (0.2, 1.0))
    monkeypatch.setattr("core.faults.MENDED_S", (0.5, 0.9))
    monkeypatch.setattr("core.cluster.Random", lambda: Scripted("slow", "cut", "kill"))
    patient = Recover(wait=LIMIT_S)
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(3, 3), max_tokens=LONG, recover=patient) as live:
        whole = await live.answered(await live.asked(PROMPT))
        request = await live.asked(PROMPT, tokens=5)
        live.cluster.disturb()
        state = await live.until(
            lambda state: len(state.faults) == 5 and state.run.live and state.run.ready, "three faults"
        )
        told = [(fault.kind, fault.target) for fault in state.faults]
        assert told == [(kind, "demo-b") for kind in ("slow", "hasten", "cut", "mend", "kill")]
        answer = await live.answered(request)
        assert (answer.ids, answer.done.why) == (whole.ids, whole.done.why)

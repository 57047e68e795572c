"""A rehearsal broken in mid-answer: the answer goes on in another run, and is the one it would have been."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import events as ev
from core.config import Recover
from core.conversations.manner import Manner
from core.request import Prompt, Sampling, Turn
from tests.e2e.processes import WORKER, below
from tests.e2e.rehearsed import Rehearsed, rehearsed
from tests.e2e.until import soon

PROMPT = "Tell me all about it"
LONG = 150
MANNER = Manner(sampling=Sampling(max_tokens=LONG))
AT_ONCE = Recover(wait=0.0)
PATIENT = Recover(wait=60.0)
SAMPLED = Sampling(max_tokens=LONG, temperature=1.0, seed=7, presence_penalty=0.5, ignore_eos=True)


async def _undisturbed(live: Rehearsed) -> tuple[tuple[int, ...], str]:
    answer = await live.answered(await live.asked(PROMPT))
    assert len(answer.ids) > 100
    return answer.ids, answer.text


async def _recovered(live: Rehearsed) -> None:
    await live.until(lambda state: state.recovery and state.recovery.stage == "done", "the recovery")


@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_an_answer_goes_on_where_it_stopped(fault, tiny, tmp_path: Path) -> None:
    async with rehearsed(
        tiny("llama"), 3, tmp_path, split=(2, 2, 2), max_tokens=LONG, recover=AT_ONCE
    ) as live:
        ids, text = await _undisturbed(live)
        request = await live.asked(PROMPT, tokens=20)
        first = live.bus.state.run.id
        live.cluster.inject(fault, "demo-b")
        answer = await live.answered(request)
        assert (answer.ids, answer.text) == (ids, text)
        assert (answer.done.why, answer.done.tokens, answer.held) == ("length", LONG, 1)
        state = live.bus.state
        assert state.run.id != first
        # The device is as well as before: a process was killed, not the machine.
        assert [rank.device for rank in state.run.ranks] == ["demo-a", "demo-b", "demo-c"]
        assert state.recovery.stage == "done"


async def test_an_answer_cut_by_a_crash_of_the_console_goes_on_from_its_tokens(tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(3, 3), max_tokens=LONG) as live:
        ids, text = await _undisturbed(live)
        request = await live.asked(PROMPT, tokens=20)
        begun = live.bus.state.requests[request]
        await live.answered(request)
        # As another console finds it on disk.
        cut = ev.RequestDone(t=2.0, request="cut", why="error", detail="cut")
        left = ev.Exchange(
            request="cut", prompt=PROMPT, started=1.0, ids=begun.ids, text=begun.text, done=cut,
            model=begun.model,
        )  # fmt: skip
        live.bus.publish(ev.ConversationOpened(t=3.0, conversation="old", manner=MANNER, exchanges=(left,)))
        live.cluster.resume("cut")
        answer = await live.answered("cut")
        assert (answer.ids, answer.text, answer.done.why) == (ids, text, "length")
        assert answer.done.ttft_s is None, "nobody here has seen when it began"
        live.cluster.resume("cut")
        assert live.bus.state.alerts[-1].text == "only an answer that was cut off goes on"


async def test_a_lost_device_is_done_without_and_offered_when_it_is_back(tiny, tmp_path: Path) -> None:
    async with rehearsed(
        tiny("llama"), 3, tmp_path, split=(2, 2, 2), max_tokens=LONG, recover=AT_ONCE
    ) as live:
        ids, text = await _undisturbed(live)
        request = await live.asked(PROMPT, tokens=20)
        live.cluster.inject("cut", "demo-b")
        answer = await live.answered(request)
        assert (answer.ids, answer.text) == (ids, text)
        run = live.bus.state.run
        assert "demo-b" not in {rank.device for rank in run.ranks}
        live.cluster.inject("mend", "demo-b")
        await live.until(lambda state: state.offered == ("demo-b",), "the offer")
        assert live.bus.state.run.id == run.id, "offered, not forced"
        live.cluster.relaunch()
        state = await live.until(lambda state: state.run.id != run.id and state.run.ready, "another run")
        assert [rank.device for rank in state.run.ranks] == ["demo-a", "demo-b", "demo-c"]
        assert state.offered == ()


async def test_what_needs_a_lost_device_waits_for_it(tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(3, 3), max_tokens=LONG, recover=PATIENT) as live:
        ids, _ = await _undisturbed(live)
        request = await live.asked(PROMPT, tokens=20)
        live.cluster.inject("cut", "demo-a")
        await live.until(lambda state: state.recovery and state.recovery.stage == "waiting", "waiting for it")
        live.cluster.inject("mend", "demo-a")
        assert (await live.answered(request)).ids == ids
        assert [rank.device for rank in live.bus.state.run.ranks] == ["demo-a", "demo-b"]


async def test_nothing_of_the_queue_is_lost_and_sampling_goes_on_too(tiny, tmp_path: Path) -> None:
    """Programs' requests, drawn at random with a seed and a penalty, which both look back on the answer."""
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(3, 3), recover=AT_ONCE) as live:
        live.cluster.launch()
        await live.until(lambda state: state.run and state.run.ready, "the run")

        async def ten() -> list[tuple[int, ...]]:
            asked = [
                live.cluster.submit(Prompt(messages=[Turn("user", f"{PROMPT} {i}")]), SAMPLED, "api")
                for i in range(10)
            ]
            if disturbed:
                await live.until(lambda state: any(len(r.ids) > 20 for r in state.open), "some tokens")
                live.cluster.inject("kill", "demo-b")
            return [(await live.answered(one)).ids for one in asked]

        disturbed = False
        expected = await ten()
        disturbed = True
        assert await ten() == expected
        assert len(live.bus.state.faults) == 1


async def test_all_that_were_answered_at_once_go_on_where_less_memory_is_left(tiny, tmp_path: Path) -> None:
    greedy = Sampling(max_tokens=60, ignore_eos=True)
    async with rehearsed(
        tiny("llama"), 2, tmp_path, split=(3, 3), budgets=(0.5, 0.5), recover=AT_ONCE
    ) as live:
        live.cluster.launch()
        state = await live.until(lambda state: state.run and state.run.ready, "the run")
        before = state.run.plan

        def ask() -> list[str]:
            prompts = [Prompt(messages=[Turn("user", f"{PROMPT} {i}")]) for i in range(12)]
            return [live.cluster.submit(one, greedy, "api") for one in prompts]

        expected = [(await live.answered(one)).ids for one in ask()]
        asked = ask()
        await live.until(lambda state: sum(len(r.ids) > 5 for r in state.open) > 8, "more than eight at once")
        live.cluster.inject("cut", "demo-b")
        assert [(await live.answered(one)).ids for one in asked] == expected
        after = live.bus.state.run.plan
        assert [stage.devices for stage in after.stages] == [("demo-a",)]
        assert after.context <= after.tokens < before.tokens


async def test_asked_whether_to_go_on_a_no_ends_the_answer_and_a_yes_does_not(tiny, tmp_path: Path) -> None:
    asked = Recover(policy="ask", wait=0.0)
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(3, 3), max_tokens=LONG, recover=asked) as live:
        for accepted in (False, True):
            request = await live.asked(PROMPT, tokens=20)
            live.cluster.inject("kill", "demo-a")
            state = await live.until(
                lambda state: state.recovery and state.recovery.stage == "asked", "the question"
            )
            assert "rank 0 on demo-a was killed" in state.recovery.text
            await soon(lambda: not below(WORKER), "the others freed meanwhile")
            live.cluster.recover(accepted)
            answer = await live.answered(request)
            assert answer.done.why == ("length" if accepted else "error")


async def test_where_nothing_is_left_the_answer_ends_and_says_so(tiny, tmp_path: Path) -> None:
    hopeless = Recover(wait=0.0, failover=1.0)
    async with rehearsed(tiny("llama"), 1, tmp_path, max_tokens=LONG, recover=hopeless) as live:
        request = await live.asked(PROMPT, tokens=20)
        live.cluster.inject("cut", "demo-a")
        answer = await live.answered(request)
        assert answer.done.why == "error"
        assert "demo-a" in answer.done.detail and "no device is ready" in answer.done.detail
        assert len(answer.ids) >= 20, "what there was of it stays"


async def test_stopping_ends_a_recovery_and_cancelling_only_an_answer(tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 1, tmp_path, max_tokens=LONG, recover=PATIENT) as live:
        request = await live.asked(PROMPT, tokens=5)
        other = live.cluster.submit(Prompt(messages=[Turn("user", PROMPT)]), SAMPLED, "api")
        live.cluster.inject("cut", "demo-a")
        await live.until(lambda state: state.recovery and state.recovery.stage == "waiting", "waiting for it")
        live.cluster.withdraw(other)
        assert (await live.answered(other)).done.why == "cancel"
        assert live.bus.state.recovering
        live.cluster.stop()
        assert (await live.answered(request)).done.why == "cancel"
        assert not live.bus.state.recovering

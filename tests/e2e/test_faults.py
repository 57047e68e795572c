"""A rehearsal broken on purpose: what breaks is named, what is mended works again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.state import link_key
from tests.e2e.processes import WORKER, below
from tests.e2e.rehearsed import Rehearsed, rehearsed
from tests.e2e.until import LIMIT_S, soon

PROMPT = "Tell me all about it"
LONG = 600  # tokens: enough to break something before the answer is over
DELAYED_US = 40_000
"""Less than a delayed answer takes, and far more than loopback."""


async def _failed(live: Rehearsed, request: str) -> str:
    """Why the run failed; the request has ended with it, and no worker is left."""
    state = await live.until(lambda state: state.run and not state.run.live, "the end of the run")
    assert state.run.stopped.failed
    answer = await live.answered(request)
    assert answer.done.why == "error"
    assert answer.done.detail == state.run.stopped.reason
    await soon(lambda: not below(WORKER), "no worker left")
    return state.run.stopped.reason


async def test_two_rehearsals_do_not_see_each_other(tiny, tmp_path: Path, adverts) -> None:
    model = tiny("llama")
    async with rehearsed(model, 2, tmp_path / "1") as one, rehearsed(model, 2, tmp_path / "2") as other:
        ports = [set(each.rehearsal.ports.values()) for each in (one, other)]
        assert not ports[0] & ports[1]
        # All four are on the air,
        await soon(lambda: ports[0] | ports[1] <= set(adverts.ports.values()), "all announcements")
        # both clusters work at once,
        answers = await asyncio.gather(*(each.asked("Hello") for each in (one, other)))
        done = [await each.answered(answer) for each, answer in zip((one, other), answers, strict=True)]
        assert done[0].ids == done[1].ids
        # and neither has heard of more than its own two.
        for each, own in zip((one, other), ports, strict=True):
            state = each.bus.state
            assert {peer.port for peer in state.peers.values()} == own
            assert set(state.devices) == {"demo-a", "demo-b"}


@pytest.mark.parametrize("victim", ["demo-a", "demo-b"])
async def test_a_killed_rank_ends_the_run_and_is_named(victim, tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(4, 2), max_tokens=LONG) as live:
        request = await live.asked(PROMPT, tokens=5)
        live.cluster.inject("kill", victim)
        reason = await _failed(live, request)
        rank = [stage.device for stage in live.bus.state.plan.stages].index(victim)
        assert f"rank {rank} on {victim}" in reason
        assert "SIGKILL" in reason
        assert (live.bus.state.faults[-1].kind, live.bus.state.faults[-1].target) == ("kill", victim)
        assert live.bus.state.run.ranks[rank].exit.signal == "SIGKILL"

        # The devices are as before: the next prompt brings up a new run.
        again = await live.answered(await live.asked(PROMPT))
        assert again.done.why in ("length", "stop")


async def test_a_frozen_rank_ends_the_run_and_is_named(tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(2, 4), max_tokens=LONG) as live:
        request = await live.asked(PROMPT, tokens=5)
        live.cluster.inject("freeze", "demo-b")
        reason = await _failed(live, request)
        assert "rank 1 on demo-b was stopped (SIGSTOP) in decode" in reason
        assert "rank 0 wait for it" in reason
        blamed = live.bus.state.run.blamed
        assert (blamed.fault, blamed.rank, blamed.device) == ("stopped", 1, "demo-b")


async def test_a_rank_that_is_soon_thawed_goes_on(tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(2, 4), max_tokens=LONG) as live:
        undisturbed = await live.answered(await live.asked(PROMPT))
        request = await live.asked(PROMPT, tokens=5)
        live.cluster.inject("freeze", "demo-b")
        live.cluster.inject("thaw", "demo-b")
        answer = await live.answered(request)
        assert (answer.ids, answer.text) == (undisturbed.ids, undisturbed.text)


async def test_a_device_cut_off_is_lost_with_its_run_and_comes_back_when_mended(tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 3, tmp_path, split=(2, 2, 2), max_tokens=LONG) as live:
        request = await live.asked(PROMPT, tokens=5)
        live.cluster.inject("cut", "demo-b")
        reason = await _failed(live, request)
        assert "rank 1 on demo-b" in reason
        assert "connection" in reason
        state = await live.until(lambda state: state.devices["demo-b"].status == "lost", "the device lost")
        assert state.devices["demo-a"].status == state.devices["demo-c"].status == "ready"

        live.cluster.inject("mend", "demo-b")
        await live.until(lambda state: state.devices["demo-b"].status == "ready", "the device back")
        await live.up()
        again = await live.answered(await live.asked(PROMPT))
        assert again.done.why in ("length", "stop")
        assert [rank.device for rank in live.bus.state.run.ranks] == ["demo-a", "demo-b", "demo-c"]


async def test_a_delayed_device_is_measured_so(tiny, tmp_path: Path) -> None:
    link = link_key("demo-a", "demo-b")

    def p50(state) -> float | None:
        return state.links[link].p50.last if link in state.links else None

    async with rehearsed(tiny("llama"), 2, tmp_path) as live:
        await live.until(lambda state: p50(state) and p50(state) < DELAYED_US, "a first measurement")
        live.cluster.inject("delay", "demo-b")
        await live.until(lambda state: p50(state) and p50(state) > DELAYED_US, "the delay measured")
        live.cluster.inject("hasten", "demo-b")
        await live.until(
            lambda state: p50(state) and p50(state) < DELAYED_US, "the end of the delay measured"
        )


async def test_closing_in_mid_measurement_ends(tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 3, tmp_path) as live:
        for device in live.rehearsal.ports:
            live.rehearsal.delay(device, 50.0)
        # Pairs are measured one after the other without a pause: the second burst is under way by then.
        await live.until(lambda state: link_key("demo-a", "demo-b") in state.links, "a first measurement")
        measured = len(live.bus.state.links)
        async with asyncio.timeout(LIMIT_S):
            await live.cluster.close()
        assert len(live.bus.state.links) == measured


async def test_a_fault_without_a_victim_is_said(tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 1, tmp_path) as live:
        live.cluster.inject("kill", "demo-a")
        state = await live.until(lambda state: state.alerts, "a word about it")
        assert (state.alerts[-1].subject, state.alerts[-1].text) == ("demo-a", "has no rank to kill")
        assert not state.faults

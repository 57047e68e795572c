"""The plan of a live rehearsal follows what is measured, and says why it is what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import events as ev
from core.plan.calibrate import TOKENS
from core.state import ClusterState
from tests.e2e.rehearsed import rehearsed

ALL = {"demo-a", "demo-b", "demo-c"}


def planned(state: ClusterState) -> set[str]:
    """The devices of the plan."""
    return {name for stage in state.plan.stages for name in stage.devices} if state.plan else set()


def layers(state: ClusterState) -> dict[str, int]:
    """Layers by device."""
    return {stage.device: stage.layers for stage in state.plan.stages}


def measured(state: ClusterState) -> bool:
    """Whether the plan rests on a measurement of every link between the devices."""
    return state.plan is not None and any("links measured" in why for why in state.plan.why)


async def test_a_delayed_device_is_left_out_until_it_is_hastened(directory, tmp_path: Path) -> None:
    async with rehearsed(directory("demo"), 3, tmp_path, everywhere=True) as live:
        before = await live.until(lambda s: planned(s) == ALL and measured(s), "a plan over all, measured")
        assert sum(layers(before).values()) == before.plan.layers == 30

        live.cluster.inject("delay", "demo-b")
        without = await live.until(lambda s: planned(s) == ALL - {"demo-b"}, "a plan without demo-b")
        (reason,) = (why for why in without.plan.why if why.startswith("demo-b is left out"))
        assert "its link takes 50 ms" in reason
        assert sum(layers(without).values()) == 30

        live.cluster.inject("hasten", "demo-b")
        after = await live.until(lambda s: planned(s) == ALL, "demo-b back in the plan")
        assert layers(after) == layers(before)
        assert not any("left out" in why for why in after.plan.why)


@pytest.mark.parametrize("budget", [0.5, 0.15])
async def test_a_device_with_little_memory_has_few_layers_or_none(budget, directory, tmp_path: Path) -> None:
    model, budgets = directory("demo"), (1.0, 1.0, budget)
    async with rehearsed(model, 3, tmp_path, everywhere=True, budgets=budgets) as live:
        state = await live.until(measured, "a plan for all devices")
        held, why = layers(state), state.plan.why
        assert sum(held.values()) == 30
        if budget == 0.5:
            assert held["demo-a"] > 2 * held["demo-c"] > 0
            assert any("by their memory" in reason for reason in why)
        else:
            assert set(held) == {"demo-a", "demo-b"}
            (reason,) = (reason for reason in why if reason.startswith("demo-c is left out"))
            assert "usable holds not one layer" in reason


async def test_a_run_teaches_the_planner_its_devices(tiny, tmp_path: Path) -> None:
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(4, 2), max_tokens=TOKENS + 10) as live:
        heard: list[ev.AnyEvent] = []
        live.bus.subscribe(heard.append)
        request = await live.answered(await live.asked("Tell me all about it"))
        assert len(request.ids) >= TOKENS
        for timed in request.ranks.values():
            assert timed.decode_steps == len(request.ids) < timed.steps
            assert timed.decode_s is not None and 0 < timed.decode_s < timed.compute_s
        state = await live.until(
            lambda s: all(device.tuning for device in s.devices.values()), "every device tuned"
        )
        tuned = {event.device: event.tuning for event in heard if isinstance(event, ev.DeviceTuned)}
        assert set(tuned) == {"demo-a", "demo-b"}
        for name, tuning in tuned.items():
            assert state.devices[name].tuning == tuning
            assert tuning.tokens >= TOKENS
            assert tuning.eta_bw > 0 and tuning.overhead_scale > 0
        told = [alert.subject for alert in state.alerts if "ms a token for its layers" in alert.text]
        assert set(told) == set(tuned)

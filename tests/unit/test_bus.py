"""One order of events for all who listen."""

from __future__ import annotations

import asyncio

import pytest

from core import events as ev
from core.bus import Bus


def test_what_a_listener_publishes_comes_after_for_all() -> None:
    bus = Bus()
    heard: list[tuple[str, float]] = []

    def echo(event: ev.AnyEvent) -> None:
        heard.append(("first", event.t))
        if event.t == 1.0:
            bus.publish(ev.Tick(t=2.0))

    bus.subscribe(echo)
    bus.subscribe(lambda event: heard.append(("second", event.t)))
    bus.publish(ev.Tick(t=1.0))
    assert heard == [("first", 1.0), ("second", 1.0), ("first", 2.0), ("second", 2.0)]


def test_a_listener_that_breaks_costs_nobody_else_anything_and_is_told_once() -> None:
    bus = Bus()
    heard: list[ev.AnyEvent] = []

    def broken(event: ev.AnyEvent) -> None:
        raise RuntimeError("what a\x1b[31m mess")

    bus.subscribe(broken)
    bus.subscribe(heard.append)
    for t in (1.0, 2.0):
        bus.publish(ev.Tick(t=t))
    assert [event.t for event in heard if isinstance(event, ev.Tick)] == [1.0, 2.0]
    [alert] = bus.state.alerts
    assert alert.subject == "console" and "RuntimeError in test_bus.py" in alert.text
    assert "\x1b" not in alert.text


async def test_a_condition_that_breaks_is_told_to_whoever_waits_for_it() -> None:
    bus = Bus()
    waiting = asyncio.ensure_future(bus.until(lambda state: bool(state.now and 1 / 0)))
    await asyncio.sleep(0)
    bus.publish(ev.Tick(t=1.0))
    with pytest.raises(ZeroDivisionError):
        await waiting
    assert not bus.state.alerts

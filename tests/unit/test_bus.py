"""One order of events for all who listen."""

from __future__ import annotations

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


def test_a_listener_that_breaks_does_not_silence_the_bus() -> None:
    bus = Bus()
    heard: list[float] = []
    bus.subscribe(lambda event: heard.append(event.t))

    def broken(event: ev.AnyEvent) -> None:
        raise RuntimeError

    end = bus.subscribe(broken)
    with pytest.raises(RuntimeError):
        bus.publish(ev.Tick(t=1.0))
    end()
    bus.publish(ev.Tick(t=2.0))
    assert heard == [1.0, 2.0]

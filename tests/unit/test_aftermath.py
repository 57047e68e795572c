"""Memory that a run keeps is told, also where another run follows at once."""

from __future__ import annotations

import pytest

from core import events as ev
from core.bus import Bus
from core.plan.plan import Plan, Stage
from core.run.aftermath import PATIENCE_S, Aftermath

GIB = 2**30


def _plan(*devices: str) -> Plan:
    stages = tuple(Stage(device, place, place + 1) for place, device in enumerate(devices))
    return Plan(model="toy", layers=len(devices), stages=stages, context=128, backend="sockets")


class Told:
    """A bus with an Aftermath on it; what it says of memory."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.bus.subscribe(Aftermath(self.bus, lambda _: None).consider)
        for device in ("a", "b"):
            self.bus.publish(ev.DeviceSeen(t=0, device=device, name=device, address="x", status="ready"))

    def uses(self, t: float, **used: int) -> None:
        for device, gib in used.items():
            self.bus.publish(
                ev.DeviceSample(
                    t=t,
                    device=device,
                    memory_total=64 * GIB,
                    memory_used=gib * GIB,
                    memory_limit=64 * GIB,
                )
            )

    def starts(self, t: float, run: str, *devices: str, loads: int = 2) -> None:
        self.bus.publish(ev.RunStarted(t=t, run=run, plan=_plan(*devices)))
        for rank in range(min(loads, len(devices))):
            self.bus.publish(
                ev.RankLoaded(
                    t=t, run=run, rank=rank, start=rank, end=rank + 1, weights=8 * GIB, digest="", seconds=1
                )
            )

    def fails(self, t: float, run: str) -> None:
        self.bus.publish(ev.RunStopped(t=t, run=run, failed=True, reason="it failed"))

    @property
    def of(self) -> list[str]:
        return [alert.subject for alert in self.bus.state.alerts if "needs a reboot" in alert.text]


@pytest.mark.parametrize(
    ("again", "loads"),
    [(("a",), 1), (("a", "b"), 2), (("a", "b"), 1)],
    ids=["without it", "with it", "where it has no room for it"],
)
def test_what_a_failed_run_keeps_is_told_though_another_one_follows(
    again: tuple[str, ...], loads: int
) -> None:
    told = Told()
    told.uses(1, a=2, b=2)
    told.starts(2, "first", "a", "b")
    told.uses(3, a=10, b=10)
    told.fails(4, "first")
    told.uses(5, a=2, b=10)
    told.starts(6, "second", *again, loads=loads)
    told.uses(7, a=10, b=10)
    told.uses(4 + PATIENCE_S, a=10, b=10)
    if "b" in again:
        assert told.of == [], "its rank holds memory again"
        told.fails(20, "second")
        told.uses(21 + PATIENCE_S, a=2, b=10)
    assert told.of == ["b"]


def test_a_device_that_has_its_memory_back_is_not_held_to_what_was_before() -> None:
    told = Told()
    told.uses(1, a=2)
    told.starts(2, "first", "a")
    told.fails(4, "first")
    told.uses(5, a=2)
    told.uses(6, a=12)  # somebody else's
    told.starts(7, "second", "a")
    told.fails(8, "second")
    told.uses(9 + PATIENCE_S, a=12)
    assert told.of == []

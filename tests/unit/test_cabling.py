"""Cables as they change: what is matched again, and what is said loudly."""

from __future__ import annotations

import pytest

from core import events as ev
from core.bus import Bus
from core.cabling import Cabling
from tests.tui.scenes import plan
from tests.unit.macs import Mac, cable


@pytest.fixture
def bus() -> Bus:
    bus = Bus()
    bus.subscribe(Cabling(bus).consider)
    return bus


def tell(bus: Bus, *macs: Mac) -> None:
    """What the devices' agents would say."""
    for mac in macs:
        bus.publish(ev.DeviceSeen(t=1.0, device=mac.name, name=mac.name, address="?", status="ready"))
        bus.publish(ev.DeviceWired(t=1.0, device=mac.name, wiring=mac.wiring()))


def alerts(bus: Bus) -> list[tuple[str, str, str]]:
    return [(alert.level, alert.subject, alert.text) for alert in bus.state.alerts]


def test_a_cable_that_is_pulled_is_said_loudly_and_only_once_both_ends_agree(bus: Bus) -> None:
    a, b = Mac("a"), Mac("b")
    cable(a, 1, b, 2)
    tell(bus, a, b)
    assert [(one.a.device, one.b and one.b.device, one.rdma) for one in bus.state.cables] == [
        ("a", "b", "ready")
    ]
    a.plugs.clear()
    tell(bus, a)
    assert not bus.state.cables[0].mutual and alerts(bus) == []
    b.plugs.clear()
    tell(bus, b)
    assert bus.state.cables == ()
    assert alerts(bus) == [("error", "b (Thunderbolt 2) — a (Thunderbolt 1)", "the cable is gone")]


def test_a_cable_that_got_slower_is_said(bus: Bus) -> None:
    a, b = Mac("a"), Mac("b")
    cable(a, 1, b, 2)
    tell(bus, a, b)
    a.plugs[1].gbps = 40
    tell(bus, a)
    assert alerts(bus) == [
        ("warning", "a (Thunderbolt 1) — b (Thunderbolt 2)", "the cable runs at 40 Gb/s now, 80 before")
    ]


def test_nobody_claims_that_a_cable_is_gone_which_cannot_be_seen_for_now(bus: Bus) -> None:
    a, b = Mac("a"), Mac("b")
    cable(a, 1, b, 2)
    tell(bus, a, b)
    for mac in (a, b):
        readings = mac.readings(thunderbolt=None)
        wiring = readings.wiring()
        bus.publish(ev.DeviceGaps(t=1.0, device=mac.name, gaps=readings.gaps))
        bus.publish(ev.DeviceWired(t=1.0, device=mac.name, wiring=wiring))
    assert alerts(bus) == []


def test_rdma_that_failed_in_a_rank_marks_its_cables_until_the_next_run(bus: Bus) -> None:
    a, b = Mac("demo-a"), Mac("zemo-b")
    b.name = "demo-b"
    b.domain = lambda port: f"00000062-0000-4000-8000-{port:012X}"  # type: ignore[method-assign]
    cable(a, 1, b, 1)
    tell(bus, a, b)
    bus.publish(ev.RunStarted(t=1.0, run="r1", plan=plan()))
    bus.publish(ev.RankLogged(t=1.0, run="r1", rank=1, line="loading"))
    assert bus.state.cables[0].rdma == "ready"
    line = "[jaccl] Changing queue pair to RTR failed with errno 16"
    bus.publish(ev.RankLogged(t=1.0, run="r1", rank=1, line=line))
    [one] = bus.state.cables
    assert one.b is not None and (one.a.rdma, one.b.rdma) == ("ready", "faulted")
    assert one.b.why == "queue pairs of an earlier rank are still there"
    bus.publish(ev.RunStarted(t=2.0, run="r2", plan=plan()))
    assert bus.state.cables[0].rdma == "ready"

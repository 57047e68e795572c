"""Which path a pair uses, what makes it take another, and what is said of that."""

from __future__ import annotations

import pytest

from core import events as ev
from core.bus import Bus
from core.circumstances import Circumstances, circumstances, wires
from core.plan.plan import Plan, Stage, Wire
from core.remote.local import LocalMachine
from core.routes import Routes
from core.run.orders import orders
from core.state import Link
from core.wiring import Interface, LinkKind, Wiring


@pytest.fixture
def bus() -> Bus:
    bus = Bus()
    bus.subscribe(Routes(bus).consider)
    return bus


PLACES: dict[LinkKind, tuple[str, str, str]] = {
    "thunderbolt": ("10.213.0.2", "en2", "en3"),
    "ethernet": ("192.0.2.2", "en0", "en0"),
    "wifi": ("198.51.100.2", "en1", "en1"),
    "vpn": ("100.64.0.2", "utun4", "utun4"),
    "unknown": ("203.0.113.2", "", ""),
}


def burst(kind: LinkKind, p50: float = 400, t: float = 2.0) -> ev.LinkMeasured:
    address, source, target = PLACES[kind]
    return ev.LinkMeasured(
        t=t, source="a", target="b", kind=kind, address=address, local=address[:-1] + "1",
        source_interface=source, target_interface=target, sent=30, received=30,
        min_us=p50, p50_us=p50, p99_us=p50,
    )  # fmt: skip


def failed(kind: LinkKind) -> ev.LinkFailed:
    return ev.LinkFailed(t=2.0, source="a", target="b", address=PLACES[kind][0], reason="no answer")


def carries(kind: LinkKind, rate: float) -> ev.BandwidthMeasured:
    return ev.BandwidthMeasured(
        t=2.0, source="a", target="b", address=PLACES[kind][0], there=rate * 2, back=rate
    )


def wired(up: bool) -> ev.DeviceWired:
    cable = Interface(name="en2", kind="thunderbolt", up=up, addresses=("10.213.0.1/30",))
    lan = Interface(name="en0", kind="ethernet", up=True, addresses=("192.0.2.1/24",))
    return ev.DeviceWired(t=3.0, device="a", wiring=Wiring(interfaces=(lan, cable)))


def link(bus: Bus) -> Link:
    return bus.state.links["a→b"]


def used(bus: Bus) -> str:
    return next(kind for kind, place in PLACES.items() if place[0] == link(bus).in_use)


def alerts(bus: Bus) -> list[tuple[str, str]]:
    assert {alert.subject for alert in bus.state.alerts} <= {"a → b"}
    return [(alert.level, alert.text) for alert in bus.state.alerts]


def tell(bus: Bus, *events: ev.AnyEvent) -> None:
    for event in events:
        bus.publish(event)


def test_the_quicker_path_is_taken_and_nobody_is_told_of_a_gain(bus: Bus) -> None:
    tell(bus, burst("wifi", 5000))
    assert used(bus) == "wifi" and link(bus).last == burst("wifi", 5000)
    tell(bus, burst("thunderbolt", 700))
    assert used(bus) == "thunderbolt"
    tell(bus, burst("ethernet", 300))  # quicker to answer, but by its kind it carries far less
    assert used(bus) == "thunderbolt"
    assert link(bus).last == burst("thunderbolt", 700) and link(bus).p50.last == 700
    assert set(link(bus).lanes) == {PLACES[kind][0] for kind in ("wifi", "thunderbolt", "ethernet")}
    assert alerts(bus) == []


def test_figures_that_jitter_move_nobody_and_what_was_measured_of_a_path_does(bus: Bus) -> None:
    tell(bus, burst("unknown", 100), burst("ethernet", 90), burst("unknown", 110), burst("ethernet", 60))
    assert used(bus) == "unknown"
    tell(bus, carries("ethernet", 1e9))
    assert used(bus) == "ethernet"
    [wire] = wires(bus.state)
    assert (wire.rate, wire.ends) == (1e9, ("192.0.2.1", "192.0.2.2"))


def test_a_cable_whose_end_lost_its_link_is_left_at_once_and_loudly(bus: Bus) -> None:
    tell(bus, ev.DeviceSeen(t=1.0, device="a", name="a", address="?", status="ready"), wired(up=True))
    tell(bus, burst("ethernet"), burst("thunderbolt", 300))
    before = circumstances(bus.state)
    tell(bus, wired(up=False))
    assert used(bus) == "ethernet" and link(bus).last == burst("ethernet")
    assert alerts(bus) == [
        ("error", "goes by Ethernet (en0) now, it went by Thunderbolt (en2–en3): en2 has no link on a")
    ]
    assert circumstances(bus.state) == before == Circumstances()  # no device has memory to plan for
    tell(bus, wired(up=True), burst("thunderbolt", 300))
    assert used(bus) == "thunderbolt"
    assert alerts(bus)[1:] == [("info", "goes by Thunderbolt (en2–en3) again")]


def test_a_path_that_gives_no_answer_is_left_for_one_that_does(bus: Bus) -> None:
    tell(bus, burst("ethernet"), burst("thunderbolt", 300), failed("ethernet"))
    assert used(bus) == "thunderbolt" and link(bus).failure == "" and alerts(bus) == []
    tell(bus, burst("ethernet"), failed("thunderbolt"))
    assert used(bus) == "ethernet" and link(bus).failure == ""
    assert [level for level, _ in alerts(bus)] == ["error"] and "no answer" in alerts(bus)[0][1]
    tell(bus, failed("ethernet"))
    assert link(bus).failure == "no answer" and wires(bus.state) == []


def test_the_same_address_reached_over_something_worse_is_an_error_and_a_better_one_news(bus: Bus) -> None:
    def by(kind: LinkKind) -> ev.LinkMeasured:
        _, source, target = PLACES[kind]
        return ev.LinkMeasured(
            t=2.0, source="a", target="b", kind=kind, address="192.0.2.2", source_interface=source,
            target_interface=target, sent=1, received=1, min_us=1, p50_us=1, p99_us=1,
        )  # fmt: skip

    tell(
        bus, by("thunderbolt"), by("unknown"), by("ethernet"), by("vpn"), by("thunderbolt"), by("thunderbolt")
    )
    assert alerts(bus) == [
        ("error", "goes by Ethernet (en0) now, it went by Thunderbolt (en2–en3)"),
        ("error", "goes by a VPN (utun4) now, it went by Ethernet (en0)"),
        ("info", "goes by Thunderbolt (en2–en3) again"),
    ]


def test_ranks_meet_at_the_ends_of_the_path_in_use(tmp_path: object) -> None:
    plan = Plan(
        model="m", layers=6, stages=(Stage("a", 0, 2), Stage("b", 2, 4), Stage("c", 4, 6)), context=64,
        backend="sockets",
    )  # fmt: skip
    machines = [LocalMachine("python", tmp_path, f"192.0.2.{n}") for n in (1, 2, 3)]  # type: ignore[arg-type]
    between = [
        Wire(a="b", b="a", ends=("10.213.0.2", "10.213.0.1")),
        Wire(a="a", b="c", ends=("fe80::1%en0", "")),
        Wire(a="b", b="c", kind="rdma", rdma=(("rdma_en2", "rdma_en2"),)),
    ]
    told = [order["address"] for order in orders(plan, machines, ["m"] * 3, between)]
    # A wire's end where there is one that means something elsewhere too; else where the machine is reached.
    assert told == [machines[0].seen_from(machines[2]), "10.213.0.2", machines[2].seen_from(machines[1])]

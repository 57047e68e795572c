"""The doctor's screen: findings, the worst first, and their commands on the clipboard."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from core import events as ev
from core.wiring import Cable, End
from tests.tui.clusters import troubled, two_macs
from tests.tui.conftest import NARROW, WIDE, Open
from tests.tui.scenes import planned
from tui.widgets.scroller import Scroller


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_it_lists_what_is_wrong_why_and_what_to_type(console: Open, size: tuple[int, int]) -> None:
    async with console(two_macs(), size) as desk:
        await desk.press("D")
        shown = desk.text
        assert shown.index("demo-c: it is lost") < shown.index("demo-b: it goes to sleep after 10 min")
        assert "the cat sat on it" in shown and "demo-b$ sudo pmset -a sleep 0" in shown


async def test_c_copies_the_commands_of_the_chosen_finding(console: Open) -> None:
    async with console(two_macs()) as desk:
        await desk.press("D", "c")
        assert desk.app.clipboard == ""
        await desk.press("j", "c")
        assert desk.app.clipboard == "sudo pmset -a sleep 0"
        await desk.press("escape")
        assert "goes to sleep" not in desk.text


async def test_a_finding_that_is_mended_goes(console: Open) -> None:
    async with console(two_macs()) as desk:
        await desk.press("D")
        desk.bus.publish(ev.DeviceKept(t=2.0, device="demo-b", sleeps=0))
        desk.app.screen.look()  # type: ignore[attr-defined]
        await desk.settle()
        assert "goes to sleep" not in desk.text and "demo-c: it is lost" in desk.text


async def test_the_cluster_pane_shows_cables_and_what_keeps_rdma_from_them(console: Open) -> None:
    seen = ev.CablesSeen(
        t=1.0,
        cables=(
            Cable(
                id="x+y",
                a=End(device="demo-a", port="Thunderbolt 1", rdma="off there"),
                b=End(device="demo-b", port="Thunderbolt 2", rdma="off here"),
                mutual=True,
                gbps=80.0,
            ),
            Cable(
                id="z", a=End(device="demo-a", port="Thunderbolt 3", rdma="slow cable"), far="Mac", gbps=40.0
            ),
        ),
    )
    async with console([*planned(), seen]) as desk:
        shown = " ".join(desk.text.split())
    assert "demo-a 1 — demo-b 2 TB5 80 Gb/s RDMA off here" in shown
    assert "demo-a 3 — Mac TB4 40 Gb/s RDMA slow cable no device there" in shown


async def test_a_device_shows_what_its_gauges_tell_and_no_more(console: Open) -> None:
    events = planned()
    [sample] = [e for e in events if isinstance(e, ev.DeviceSample) and e.device == "demo-a"]
    told = replace(sample, gpu=0.42, temperature=51.3, traffic={"en0": (2e6, 1e5)})
    async with console([*events, told], (240, 60)) as desk:
        shown = desk.text
    assert "GPU 42% · 51 °C · IP ↓2.0 ↑0.1 MB/s" in shown
    assert shown.count("GPU") == 1 and " W" not in shown


async def test_what_was_scrolled_to_stays_in_sight(console: Open) -> None:
    events = [event for event in troubled() if not isinstance(event, ev.TrustAsked)]
    async with console(events, (60, 9)) as desk:
        await desk.press("D")
        scroller = desk.app.screen.query_one(Scroller)
        assert scroller.max_scroll_y > 1, desk.text
        scroller.scroll_to(y=2, animate=False)
        await desk.settle()
        desk.app.screen.look()  # type: ignore[attr-defined]
        await desk.settle()
        assert scroller.scroll_y == 2

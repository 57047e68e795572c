"""The doctor's screen: findings, the worst first, and their commands on the clipboard."""

from __future__ import annotations

import pytest

from core import events as ev
from tests.tui.conftest import NARROW, WIDE, Open
from tests.tui.scenes import planned
from tests.unit.macs import Mac, cable


def two_macs() -> list[ev.AnyEvent]:
    """Two of the devices of the scene, with a cable between them and RDMA off at one end."""
    a, b = Mac("a"), Mac("b", rdma="disabled", lan="192.0.2.11")
    cable(a, 1, b, 2)
    wired = [
        ev.DeviceWired(t=1.0, device=device, wiring=mac.wiring())
        for device, mac in (("demo-a", a), ("demo-b", b))
    ]
    gone = ev.DeviceSeen(
        t=1.0, device="demo-c", name="demo-c", address="?", status="lost", detail="the cat sat on it"
    )
    kept = ev.DeviceKept(t=1.0, device="demo-b", sleeps=10)
    return [*planned(), *wired, kept, gone]


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

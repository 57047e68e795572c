"""A run that has failed, and one that goes on without a device: what the console shows and offers."""

from __future__ import annotations

from core import events as ev
from tests.tui import scenes
from tests.tui.conftest import NARROW, Open
from tui.notices import notices

T = scenes.T0 + 200
TRACE = ("Traceback (most recent call last):", '  File "stage.py", line 9', "\tshape", "ValueError: shapes")
BLAMED = ev.RunBlamed(
    t=T, run="run-1", fault="failed", rank=1, device="demo-b", doing="decode",
    text="rank 1 on demo-b ended (code 1) in decode", log=TRACE,
)  # fmt: skip
STOPPED = ev.RunStopped(t=T, run="run-1", failed=True, reason=BLAMED.text)
ALERT = ev.Alert(t=T, level="error", subject="run run-1", text=BLAMED.text)
LOST = ev.DeviceSeen(t=T, device="demo-b", name="demo-b", address="10.0.0.2", status="lost")
BACK = ev.DeviceSeen(t=T + 9, device="demo-b", name="demo-b", address="10.0.0.2", status="ready")
OFFERED = ev.RunOffered(t=T + 9, run="run-2", device="demo-b")


def _without() -> list[ev.AnyEvent]:
    """The first run has failed, the second one does without demo-b."""
    failed = [*scenes.planned(), *scenes.run_ready(T), BLAMED, ALERT, STOPPED]
    split = scenes.plan((20, 10), ("demo-a", "demo-c"))
    proof = scenes.certificate(split)
    again = [
        ev.RunStarted(t=T + 5, run="run-2", plan=split),
        ev.RunReady(t=T + 6, run="run-2", certificate=proof, seconds=1.0),
    ]
    return [*failed, LOST, *again]


async def test_what_the_culprit_wrote_last_is_below_the_verdict(console: Open) -> None:
    async with console([*scenes.planned(), *scenes.run_ready(T), BLAMED, ALERT, STOPPED]) as desk:
        rows = desk.text.splitlines()
        at = next(i for i, row in enumerate(rows) if "rank 1 on demo-b ended" in row)
        below = [row[: len(row) // 2] for row in rows[at + 1 : at + 4]]
        assert [word in row for word, row in zip(("stage.py", "shape", "ValueError"), below, strict=True)]
        assert all("stderr" in row for row in below), below


async def test_the_log_has_it_also_once_another_run_goes_on(console: Open) -> None:
    async with console(_without(), NARROW) as desk:
        await desk.press("4")
        for word in ("rank 1 demo-b: Traceback", "rank 1 demo-b: ValueError: shapes", "run run-1: rank 1 on"):
            assert word in desk.text, desk.text


def test_a_device_that_is_back_is_told_once_with_the_key() -> None:
    before, after = scenes.fold(_without()), scenes.fold([*_without(), BACK, OFFERED])
    [told] = [notice for notice in notices(before, after) if notice.title == "demo-b"]
    assert (told.severity, "l launches again" in told.text) == ("information", True)
    assert not notices(after, after)
    gone = ev.RunStopped(t=T + 10, run="run-2", failed=False, reason="you stopped it")
    for over in (LOST, gone, ev.RunStarted(t=T + 11, run="run-3", plan=scenes.plan())):
        assert scenes.fold([*_without(), BACK, OFFERED, over]).offered == ()


async def test_the_key_that_launches_asks_before_it_stops_the_run_for_a_device_that_is_back(
    console: Open,
) -> None:
    intents = scenes.FakeIntents()
    async with console(_without(), intents=intents) as desk:
        await desk.press("l")
        assert not intents.calls and "a run is live" in desk.text
        desk.bus.publish(BACK)
        desk.bus.publish(OFFERED)
        await desk.settle()
        assert "demo-b is back · l launches again" in desk.text
        await desk.press("l")
        await desk.sees("launch again with demo-b?")
        await desk.press("n")
        assert not intents.calls
        await desk.press("l", "y")
        assert intents.calls == [("relaunch",)]

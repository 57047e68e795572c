"""The cluster map: what is drawn, what stands out, and that nothing a person needs is cut."""

from __future__ import annotations

import pytest

from core import events as ev
from core.state import ClusterState, Device
from tests.tui import scenes
from tests.tui.clusters import cluster
from tests.tui.conftest import NARROW, Open
from tui.netmap import edge, shown
from tui.screens.map import named
from tui.widgets.mapview import star, triangle

T = scenes.T0 + 200


def drawn(state: ClusterState, width: int) -> list[str]:
    devices = shown(state)
    return [row.plain for row in star(state, devices, devices[0], width)]


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("width", [78, 198])
def test_up_to_eight_devices_are_a_graph_with_every_number_whole(count: int, width: int) -> None:
    rows = drawn(scenes.fold(cluster(count)), width)
    text = "\n".join(rows)
    assert len(rows) <= 18
    assert all(len(row) <= width for row in rows)
    assert "…" not in text
    for i in range(count):
        assert f"mac-{chr(97 + i)}" in text
    for i in range(count if count <= 3 else count - 1):
        assert f"{(i + 1) * 4:.1f}/48.0 GiB" in text.replace("4.00/", "4.0/").replace("8.00/", "8.0/")
    if count > 1:
        assert "TB5 80 Gb/s 310 µs" in text
    if count > 2:
        assert any("9.4 ms" in row and "▲ slow" in row for row in rows)
    if count > 3:
        assert "✖ dead" in text
        assert any("╌" in row and "✖" in row for row in rows)
        assert any("─" in row and "310 µs" in row and "╌" not in row for row in rows)


def test_all_pairs_fit_where_they_can_and_are_left_out_where_not() -> None:
    state = scenes.fold(cluster(8))
    devices = shown(state)
    assert triangle(state, devices, 60) == []
    text = "\n".join(row.plain for row in triangle(state, devices, 198))
    assert text.count("Eth 310 µs") == 28 - 3
    assert "TB5 310 µs" in text
    assert "▲Eth 9.4 ms" in text
    assert "✖ dead" in text


def test_an_edge_is_the_worse_of_both_directions() -> None:
    events = cluster(2)
    worse = ev.LinkMeasured(
        t=T, source="mac-b", target="mac-a", kind="thunderbolt", address="", sent=30, received=27,
        min_us=1, p50_us=500, p99_us=900,
    )  # fmt: skip
    joined = edge(scenes.fold([*events, worse]), "mac-a", "mac-b")
    assert (joined.p50_us, joined.condition, joined.why) == (500, "slow", "10% lost")
    later = scenes.fold([*events, ev.Tick(t=T + 60)])
    assert edge(later, "mac-a", "mac-b").condition == "old"
    assert edge(scenes.fold(scenes.planned()), "demo-a", "nobody").condition == "unmeasured"


async def test_the_map_is_drawn_around_the_chosen_device_filtered_sorted_and_opened(console: Open) -> None:
    async with console(cluster(5), NARROW) as desk:
        await desk.press("5")
        assert "5 of 5 devices · 10 links · ▲ 1 slow · ✖ 1 dead" in desk.text
        assert "─ mac-a ─" in desk.text
        await desk.press("j")
        assert "─ mac-b ─" in desk.text
        await desk.press("s", "s")
        assert "by memory" in desk.text
        await desk.press("g")
        assert "─ mac-e ─" in desk.text
        await desk.press("slash", *"!mac-e", "enter")
        assert "4 of 5 devices" in desk.text
        await desk.press("t")
        assert "worst link" in desk.text
        await desk.press("slash", "escape", "g", "enter")
        assert "mac-e" in desk.text and "▲ lost" in desk.text and "no route to host" in desk.text
        await desk.press("escape", "escape")
        assert "1 Cluster" in desk.text


async def test_many_devices_begin_as_a_table(console: Open) -> None:
    async with console([*scenes.planned(), *scenes.many(61)], NARROW) as desk:
        await desk.press("5")
        assert "64 of 64 devices" in desk.text
        assert "worst link" in desk.text
        await desk.press("G")
        assert "node-60" in desk.text, desk.text
        await desk.press("slash", *"lost")
        assert "8 of 64 devices" in desk.text


async def test_other_screens_do_what_the_console_can(console: Open) -> None:
    async with console(scenes.planned(), NARROW) as desk:
        await desk.press("5", "colon", *"launch", "enter")
        assert desk.intents.calls == [("launch",)]
        assert "1 Cluster" in desk.text
        await desk.press("5", "3")
        assert "Memory GiB" in desk.text


def two_paths() -> list[ev.AnyEvent]:
    """mac-a and mac-b by cable, which was measured and is in use, and by Ethernet, which gave no answer."""
    pair: dict[str, str] = {"source": "mac-a", "target": "mac-b"}
    burst = ev.LinkMeasured(
        t=T, kind="thunderbolt", address="10.213.0.2", local="10.213.0.1", source_interface="en2",
        target_interface="en3", sent=30, received=30, min_us=280, p50_us=310, p99_us=400, **pair,
    )  # fmt: skip
    other = ev.LinkMeasured(
        t=T, kind="ethernet", address="192.0.2.2", source_interface="en0", sent=30, received=30,
        min_us=280, p50_us=900, p99_us=950, **pair,
    )  # fmt: skip
    return [
        *cluster(2)[:-3],
        other,
        burst,
        ev.PathChosen(t=T, address="10.213.0.2", **pair),
        ev.BandwidthMeasured(t=T, address="10.213.0.2", there=2e9, back=1.1e9, **pair),
        ev.LinkFailed(t=T, address="192.0.2.2", reason="no route to host", **pair),
        ev.DeviceChecked(t=T, device="mac-b", checks=(ev.Check("mlx", True, "0.32.4"),)),
        ev.PathsChecked(
            t=T,
            device="mac-b",
            checks=(
                ev.Check("path to mac-a", False, "cannot call it: refused", "see its firewall", "mac-a"),
            ),
        ),
    ]


@pytest.mark.parametrize("size", [NARROW, (200, 60)])
async def test_each_path_of_a_device_is_told_with_what_it_carries_and_each_check(
    console: Open, size: tuple[int, int]
) -> None:
    async with console(two_paths(), size) as desk:
        await desk.press("5", "w")
        assert desk.intents.calls == [("measure", "mac-a")]
        await desk.press("j", "enter", "w")
        assert desk.intents.calls[1:] == [("measure", "mac-b")]
        rows = desk.text.splitlines()
        [used] = [row for row in rows if "Thunderbolt (en2–en3)" in row]
        assert "310 µs" in used and "● in use" in used
        assert "↑8.8 Gb/s ↓16 Gb/s" in used or size == NARROW
        assert any("Ethernet (en0)" in row and "✖ no route to host" in row for row in rows)
        assert any("✓" in row and "mlx" in row for row in rows)
        assert any("✖" in row and "path to mac-a" in row and "cannot call it" in row for row in rows)


async def test_hand_overs_are_measured_where_the_plan_could_be_launched(console: Open) -> None:
    async with console(scenes.planned(), NARROW) as desk:
        await desk.press("5", "W")
        assert desk.intents.calls == [("lap",)]
    async with console(two_paths(), NARROW) as desk:
        await desk.press("5", "W")
        await desk.sees("Cannot measure hand-overs: no model")
        assert desk.intents.calls == []


async def test_a_measurement_that_would_disturb_says_so(console: Open) -> None:
    asked = ev.RequestStarted(t=T, request="r", conversation="", prompt="?", source="api")
    async with console([*two_paths(), asked], NARROW) as desk:
        await desk.press("5", "w")
        await desk.sees("Cannot measure the bandwidth: an")
        assert desk.intents.calls == []


async def test_a_click_chooses_what_is_under_it(console: Open) -> None:
    def seen(name: str) -> ev.AnyEvent:
        return ev.DeviceSeen(t=T, device=name, name=name, address="", status="ready")

    names = [f"Mac {i:02}" for i in range(40)]
    async with console([ev.Tick(t=T), *map(seen, names)], NARROW) as desk:
        await desk.press("5", "G")
        row = next(y for y, text in enumerate(desk.text.splitlines()) if "Mac 30" in text)
        await desk.pilot.click(offset=(40, row))
        await desk.press("enter")
        assert "Mac 30" in desk.text.splitlines()[0], desk.text


@pytest.mark.parametrize(("x", "device"), [(0, "a"), (6, "a"), (12, "b"), (30, "c")])
def test_of_names_in_a_row_the_nearest_is_meant(x: int, device: str) -> None:
    names = {"a": "日本", "b": "mini", "c": "mini two"}
    devices = [Device(id=key, name=name, address="", status="ready") for key, name in names.items()]
    assert named(devices, "   日本    mini ─── mini two", x) == device


async def test_escape_shows_all_rows_again_then_leaves(console: Open) -> None:
    async with console(scenes.everything(), NARROW) as desk:
        await desk.press("5", "slash", *"nobody", "enter")
        assert "nothing matches; esc clears the filter" in desk.text
        await desk.press("escape")
        assert "3 of 3 devices" in desk.text
        await desk.press("escape", "4", "slash", *"nobody", "enter")
        assert "nothing matches the filter; esc clears it" in desk.text
        await desk.press("escape")
        assert "memory is 92 %" in desk.text

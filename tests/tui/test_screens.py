"""What a person sees: every pane, in a small and in a large terminal, in every theme."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from core import events as ev
from core.state import ClusterState, Link
from tests.tui import scenes
from tests.tui.conftest import NARROW, WIDE, Open
from tui import themes
from tui.widgets.chart import Chart, apart
from tui.widgets.links import link_rows

T = scenes.T0 + 200


async def test_a_large_terminal_shows_everything_at_once(console: Open) -> None:
    async with console(scenes.everything()) as desk:
        text = desk.text
        for name in scenes.NAMES:
            assert name in text
        for word in (
            "3 of 3 ready",
            "Mac Studio",
            "SmolLM2-135M · 30 layers",
            "every layer held once ✓ a1b2c3",
        ):
            assert word in text
        for word in ("demo-a → demo-b", "Memory GiB", "Link p50", "Tokens/s", "memory is 92 %", "run: ready"):
            assert word in text
        assert "12.3 tok/s · TTFT 0.41 s · prefill 88 tok/s · 57 tokens" in text
        assert "no data yet" not in text


async def test_a_small_terminal_shows_a_pane_at_a_time(console: Open) -> None:
    seen = {
        "1": ("3 of 3 ready", "demo-c 22–29", "● ready"),
        "2": ("12.3 tok/s · TTFT 0.41 s", "And what does each rank hold?"),
        "3": ("Memory GiB", "Link p50", "Tokens/s"),
        "4": ("memory is 92 %", "rank 0 demo-a: loaded layers 0 to 11"),
    }
    async with console(scenes.everything(), NARROW) as desk:
        for key in seen:
            await desk.press(key)
            for other, theirs in seen.items():
                assert all((word in desk.text) is (other == key) for word in theirs), (key, other, desk.text)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=str)
async def test_an_empty_cluster_says_what_is_missing(console: Open, size: tuple[int, int]) -> None:
    async with console([], size) as desk:
        assert "none yet — name devices in config.toml" in desk.text
        assert "no plan yet: M shows the models on this computer" in desk.text
        assert "measured once two devices are ready" in desk.text


async def test_every_theme_loads_and_keeps_the_words(console: Open) -> None:
    found, problems = themes.load(themes.folder())
    assert not problems
    assert len(found) >= 6
    assert {"dark", "light", "high-contrast", "ansi"} <= {theme.name for theme in found}
    async with console(scenes.everything()) as desk:
        before = desk.text
        for theme in found:
            desk.app.theme = theme.name
            await desk.settle()
            if not theme.ansi:  # where Textual draws text areas and code with lines instead of colours
                assert desk.text == before


async def test_what_strangers_say_is_shown_as_text(console: Open) -> None:
    evil = "[red]x[/red] [link=http://a]y"
    events = [
        *scenes.planned(),
        ev.PeerSeen(
            t=T, key="k", name=evil, host="h", addresses=("10.0.0.9",), port=22, services=("_ssh._tcp",)
        ),
        ev.Alert(t=T, level="warning", subject="peer", text=evil),
        *scenes.asked(T, prompt=evil),
        ev.TokensStreamed(t=T, request="q1", ids=(1,), text="<b>bold?</b> and [i]this[/i]"),
    ]
    async with console(events) as desk:
        assert desk.text.count(evil) == 4  # the question also stands for the title
        assert "<b>bold?</b> and [i]this[/i]" in desk.text


async def test_a_broken_measurement_is_a_gap_and_kills_nothing(console: Open) -> None:
    def sample(t: float, used: float) -> ev.DeviceSample:
        return ev.DeviceSample(
            t=t,
            device="demo-a",
            memory_total=2**31,
            memory_used=int(used),
            memory_limit=2**31,
            swap_used=0,
            load=0,
        )

    links = [
        ev.LinkMeasured(
            t=T + i, source="demo-a", target="demo-b", kind="unknown", address="", sent=30, received=30,
            min_us=us, p50_us=us, p99_us=us,
        )
        for i, us in enumerate((math.nan, math.inf, -math.inf, 1e300, -5.0, 40.0))
    ]  # fmt: skip
    events = [*scenes.planned(5), *links, *(sample(T + i, 10.0**i) for i in range(18))]
    async with console(events) as desk:
        assert "Link p50" in desk.text
        assert "40 µs" in desk.text


async def test_nothing_is_painted_when_nothing_happened(console: Open) -> None:
    async with console(scenes.everything()) as desk:
        painted: list[object] = []
        write = desk.app._driver.write
        desk.app._driver.write = lambda data: (painted.append(data), write(data))[1]
        await desk.pilot.pause(1.5)  # time for each timer to have painted, had it wanted to
        assert not painted


async def test_plots_are_chosen_zoomed_and_shown_for_a_minute_or_for_ever(console: Open) -> None:
    async with console(scenes.everything(), NARROW) as desk:
        await desk.press("3")
        assert "Memory GiB 2 min" in desk.text
        await desk.press("w")
        assert "Memory GiB 2 min" in desk.text  # all there is
        await desk.press("w")
        assert "Memory GiB 60 s" in desk.text
        await desk.press("w", "G")
        assert "rank 0 demo-a 69%/31%" in desk.text
        await desk.press("g", "j", "enter")
        for a in scenes.NAMES:
            for b in scenes.NAMES:
                assert a == b or f"{a}→{b}" in desk.text, desk.text
        await desk.press("j")
        assert "Tokens/s" in desk.text
        await desk.press("escape")
        assert "3 Plots" in desk.text


async def test_a_chart_of_many_says_how_many_it_leaves_out(console: Open) -> None:
    events = [*scenes.planned(), *scenes.many(20)]
    async with console(events, NARROW) as desk:
        await desk.press("3", "enter")
        assert len(set(re.findall(r" ([A-H]) (?:demo|node)-", desk.text))) == 8, desk.text
        assert "+15" in desk.text


async def test_each_of_several_lines_ends_in_the_letter_that_its_name_has(console: Open) -> None:
    async with console(scenes.everything(), WIDE) as desk:
        picture = desk.app.query_one("#memory", Chart).text
    for letter, name in zip("ABC", scenes.NAMES, strict=True):
        _, rest = picture.split(f" {letter} {name} ")
        assert letter in rest, picture


def test_letters_at_one_place_stand_side_by_side() -> None:
    ends = {0: (1.0, 0.5), 1: (1.0, 0.52), 2: (1.0, 0.9), 3: (1.0, 0.51)}
    assert apart(ends, 40, 10) == {0: (1.0, 0.5), 1: (0.0, 0.52), 2: (1.0, 0.9), 3: (2.0, 0.51)}


def test_of_thousands_of_links_those_that_fail_are_shown_and_a_filter_finds_the_others() -> None:
    names = [f"node-{i}" for i in range(20)]
    links = {
        f"{a}→{b}": Link(source=a, target=b, failure="no route" if (a, b) == ("node-19", "node-18") else "")
        for a in names
        for b in names
        if a != b
    }
    state = ClusterState(links=links)
    rows = [row.plain for row in link_rows(state, 100)]
    assert "64 of 380" in rows[0] and len(rows) == 2 + 64
    assert "node-19 → node-18" in rows[2] and "no route" in rows[2]
    found = [row.plain for row in link_rows(state, 100, "node-17 node-16")]
    assert [row.split("  ")[0] for row in found[2:]] == ["node-16 → node-17", "node-17 → node-16"]


def test_a_theme_whose_colours_charts_cannot_use_is_told_of(tmp_path: Path) -> None:
    plain = (themes.folder() / "dark.toml").read_text()
    for name, value in (("muted", "$foreground 60%"), ("series-3", "#12345g")):
        (tmp_path / "mine.toml").write_text(re.sub(rf'(?m)^"?{name}"? = .*$', f'"{name}" = "{value}"', plain))
        found, problems = themes.load(tmp_path)
        assert not found and problems[0].startswith("mine.toml: ")

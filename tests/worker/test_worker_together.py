"""Requests that decode together: who goes with whom, what prompts may take, and ranks that stay in step."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import mlx.core as mx
import pytest

from core.worker import share
from core.worker.follower import Follower
from core.worker.groups import Groups
from core.worker.schedule import Schedule, band_frame
from core.worker.share import Share
from core.worker.wire import Flag, Frame, Lost, Op
from tests.worker.conftest import PROMPT


def _stream(tokens: int) -> Any:
    return SimpleNamespace(fed_tokens=tokens, over=False)


def _groups(parts: int, *lengths: int, merges: bool = True, room: int = 10**9) -> tuple[Groups, list[Any]]:
    groups = Groups(parts, merges, lambda padding: padding <= room)
    streams = [_stream(length) for length in lengths]
    for stream in streams:
        groups.append(stream)
    return groups, streams


def _sizes(groups: Groups) -> list[int]:
    """Of all groups that can start now."""
    found = []
    while (group := groups.next()) is not None:
        found.append(len(group.streams))
    return found


@pytest.mark.parametrize(
    ("parts", "requests", "expected"),
    [(1, 5, [5]), (2, 1, [1]), (2, 2, [1, 1]), (2, 4, [2, 2]), (2, 5, [3, 2]), (3, 8, [3, 3, 2])],
)
def test_there_are_as_many_groups_as_stages_and_they_are_alike(parts, requests, expected) -> None:
    groups, _ = _groups(parts, *[10] * requests)
    assert _sizes(groups) == expected


def test_who_cannot_merge_goes_alone() -> None:
    assert _sizes(_groups(2, 10, 10, 10, merges=False)[0]) == [1, 1, 1]


def test_a_group_waits_for_its_answers_and_lets_others_in_when_it_rests() -> None:
    groups, streams = _groups(2, 10, 10)
    first, second = groups.next(), groups.next()
    assert first is not None and second is not None
    late = _stream(12)
    groups.append(late)
    assert groups.next() is None
    second.asked = False
    assert groups.next() is second
    assert second.streams == [streams[1], late]
    streams[0].over, first.asked = True, False
    assert groups.next() is None, "nobody is left in it"
    second.asked = False
    assert _sizes(groups) == [1, 1], "spread anew"


def test_nobody_is_padded_to_many_times_its_length() -> None:
    assert _sizes(_groups(1, 10, 200)[0]) == [2], "caches grow by 256 tokens anyway"
    assert _sizes(_groups(1, 10, 5000)[0]) == [1, 1]
    assert _sizes(_groups(1, 4000, 5000)[0]) == [2]


def test_padding_has_to_fit_the_memory() -> None:
    assert _sizes(_groups(1, 4000, 5000, room=1000)[0]) == [2]
    assert _sizes(_groups(1, 4000, 5000, room=999)[0]) == [1, 1]


@pytest.mark.parametrize(("part", "gap"), [(0.5, 2.0), (0.25, 6.0)])
def test_prompts_leave_their_share_to_those_who_decode(part, gap, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(share.time, "perf_counter", lambda: now)
    prompts = Share(part)
    assert prompts.open()
    prompts.took(2.0)
    now += gap - 0.1
    assert not prompts.open()
    now += 0.1
    assert prompts.open()


async def test_what_ranks_measure_shows_that_requests_went_together(cluster, alone) -> None:
    async with cluster("llama", [2, 4]) as ranks:
        prompts = [PROMPT[at : at + 20] for at in range(5)]
        asked = [ranks.ask(prompt, 400, ignore_eos=True) for prompt in prompts]
        for rank in ranks.ranks:
            beat = await rank.until(lambda one: one["ev"] == "beat" and one.get("rows", 0) > 2)
            assert beat["steps"] > 0
            assert beat["compute_s"] > 0
            assert beat["wait_s"] + beat["send_s"] > 0
        for rank in ranks.ranks:
            for name in asked:
                rank.send("cancel", id=name)
        for (ids, _), prompt in zip(await asyncio.gather(*map(ranks.answer, asked)), prompts, strict=True):
            expected = alone("llama", 30, tuple(prompt))
            assert ids[: len(expected)] == expected[: len(ids)]
        timed = await ranks.ranks[1].ev("timed")
        assert timed["merged"] > 0.5 * timed["steps"]


class _Wire:
    """Gives a rank these frames."""

    def __init__(self, *frames: Frame) -> None:
        self._frames = list(frames)

    def receive(self) -> Frame:
        return self._frames.pop(0)


def _follow(*frames: Frame) -> Lost:
    """How a last rank ends that gets these frames."""
    channel = SimpleNamespace(
        step=0,
        now=lambda *_: None,
        waiting=lambda **_: [1],
        request=lambda _: {"id": "r"},
    )
    stage = SimpleNamespace(last=True, caches=lambda: SimpleNamespace(offset=0))
    with pytest.raises(Lost) as ended:
        Follower(cast("Any", channel), cast("Any", stage), cast("Any", _Wire(*frames)), 0).serve()
    return ended.value


def _chained(*frames: Frame) -> list[Frame]:
    schedule = Schedule()
    return [
        Frame(one.op, one.slot, one.number, one.request, one.flags, schedule.follow(one), one.tensor)
        for one in frames
    ]


STEP = Frame(Op.STEP, 0, 5, flags=Flag.SAMPLE, tensor=mx.zeros((1, 1, 4)))
TOLD = [Frame(Op.BEGIN, 0, request=1), Frame(Op.BEGIN, 1, request=1), STEP]


def test_a_rank_that_was_told_otherwise_stops_the_run_with_the_reason() -> None:
    begin, other, step = _chained(*TOLD)
    assert "a step from token 5 on, where this rank has 0" in str(_follow(begin, other, step))
    assert "at its STEP of slot 0 the ranks are out of step" in str(_follow(begin, step)), "one was lost"
    assert "out of step" in str(_follow(begin, begin, other, step)), "one came twice"
    assert "out of step" in str(_follow(other, begin, step)), "in another order"
    changed = Frame(step.op, 0, 4, flags=step.flags, chain=step.chain, tensor=step.tensor)
    assert "out of step" in str(_follow(begin, other, changed))


def test_who_is_in_a_band_is_part_of_what_ranks_are_told() -> None:
    one, other, swapped = (Schedule().follow(band_frame(0, slots)) for slots in ([0, 1], [0, 2], [1, 0]))
    assert len({one, other, swapped}) == 3
    assert "does not know [1]" in str(_follow(*_chained(TOLD[0], band_frame(0, [0, 1]))))

from __future__ import annotations

from functools import reduce

from core import events as ev
from core.plan.plan import Plan, Stage
from core.series import MOST, SLACK, SPAN, Series, Thinned
from core.state import ClusterState, apply, link_key
from core.state.talk import ANSWERED

PLAN = Plan(
    model="toy", layers=4, stages=(Stage("a", 0, 3), Stage("b", 3, 4)), context=128, backend="sockets"
)


def fold(*events: ev.AnyEvent) -> ClusterState:
    return reduce(apply, events, ClusterState())


def test_a_device_is_known_before_its_samples_count() -> None:
    sample = ev.DeviceSample(t=2, device="a", memory_total=8, memory_used=3, memory_limit=6)
    assert fold(sample).devices == {}
    state = fold(ev.DeviceSeen(t=1, device="a", name="a", address="x", status="ready"), sample)
    assert state.devices["a"].memory.last == 3


def test_a_lost_device_leaves_a_gap_in_its_memory() -> None:
    state = fold(
        ev.DeviceSeen(t=1, device="a", name="a", address="x", status="ready"),
        ev.DeviceSample(t=2, device="a", memory_total=8, memory_used=3, memory_limit=6),
        ev.DeviceSeen(t=3, device="a", name="a", address="x", status="lost", detail="keepalive"),
    )
    assert state.devices["a"].memory.values == (3, None)


def test_ticks_turn_streamed_tokens_into_a_rate_and_silence_into_a_gap() -> None:
    state = fold(
        ev.Tick(t=10),
        ev.RequestStarted(t=10, request="r", conversation="c", prompt="hi"),
        ev.TokensStreamed(t=10.5, request="r", ids=(1, 2, 3), text="abc"),
        ev.Tick(t=12),
        ev.RequestDone(t=12.5, request="r", why="stop"),
        ev.Tick(t=13),
    )
    assert state.decode.values == (None, 1.5, None)
    assert state.requests["r"].text == "abc"
    assert state.active is None


def test_a_failed_probe_leaves_a_gap_in_the_latency() -> None:
    good = ev.LinkMeasured(
        t=1, source="a", target="b", kind="loopback", address="x", sent=30, received=30,
        min_us=9, p50_us=10, p99_us=20,
    )  # fmt: skip
    link = fold(good, ev.LinkFailed(t=2, source="a", target="b", reason="refused")).links[link_key("a", "b")]
    assert link.p50.values == (10, None)
    assert link.failure == "refused"


def test_every_member_of_a_tensor_group_is_a_rank() -> None:
    grouped = Plan(
        model="toy",
        layers=4,
        stages=(Stage("a", 0, 3, ("b",)), Stage("c", 3, 4)),
        context=128,
        backend="ring",
    )
    beat = ev.RankBeat(t=2, run="r", rank=2, state="idle", age=0, step=1, active=5, peak=6, cache=0)
    run = fold(ev.RunStarted(t=1, run="r", plan=grouped), beat).run
    assert run is not None
    where = [(rank.device, rank.stage, rank.start, rank.end, rank.part, rank.parts) for rank in run.ranks]
    assert where == [("a", 0, 0, 3, 0, 2), ("b", 0, 0, 3, 1, 2), ("c", 1, 3, 4, 0, 1)]
    assert [rank.beat is not None for rank in run.ranks] == [False, False, True]


def test_ranks_of_another_run_are_ignored() -> None:
    state = fold(
        ev.RunStarted(t=1, run="one", plan=PLAN), ev.RankPhased(t=2, run="two", rank=0, phase="load")
    )
    assert state.run is not None
    assert state.run.ranks[0].phase == "starting"


def test_a_series_keeps_ten_minutes_as_measured_and_thins_what_is_older() -> None:
    series = Series()
    for second in range(3600):
        series = series.push(float(second), None if 100 <= second < 200 else float(second % 60))
    assert SPAN <= series.times[-1] - series.times[0] <= SPAN + SLACK + 1
    assert series.total == 3600
    assert series.first == 0.0
    thinned = dict(zip(series.older.times, series.older.values, strict=True))
    assert thinned[0.0] == 9.0
    assert thinned[50.0] == 59.0  # no peak is lost
    assert thinned[150.0] is None  # nor a gap


def test_a_week_of_samples_stays_small() -> None:
    thinned = Thinned()
    for hour in range(7 * 24):
        thinned = thinned.push([(hour * 3600.0 + s, float(hour)) for s in range(0, 3600, 10)])
    assert len(thinned.times) <= MOST
    assert thinned.times[0] == 0.0
    assert max(v for v in thinned.values if v is not None) == 167.0
    assert thinned.length < 3600


def _api(request: str, t: float = 1) -> ev.RequestStarted:
    return ev.RequestStarted(t=t, request=request, conversation="", prompt="…", source="api")


def test_a_request_of_the_api_is_no_part_of_the_conversation() -> None:
    state = fold(ev.ConversationStarted(t=0, conversation="c"), _api("r"))
    assert state.active is None
    assert [request.id for request in state.open] == ["r"]
    assert state.conversations == {"c": ()}
    asked = ev.RequestStarted(t=2, request="q", conversation="c", prompt="hi")
    state = fold(ev.ConversationStarted(t=0, conversation="c"), _api("r"), asked)
    assert state.active is not None and state.active.id == "q"


def test_requests_that_wait_stand_as_they_were_put() -> None:
    begun = ev.PrefillProgressed(t=3, request="b", done=1, total=9)
    asked = [_api(name) for name in "abcd"]
    assert [r.id for r in fold(*asked, begun).queue] == ["b", "a", "c", "d"]
    moved = ev.QueueOrdered(t=4, requests=("d", "a", "c"))
    assert [r.id for r in fold(*asked, begun, moved, _api("e")).queue] == ["b", "d", "a", "c", "e"]
    done = ev.RequestDone(t=5, request="d", why="cancel")
    assert [r.id for r in fold(*asked, begun, moved, done).queue] == ["b", "a", "c"]


def test_the_api_is_told_of_as_long_as_it_is_served() -> None:
    served = ev.ApiServed(t=1, url="http://127.0.0.1:1/v1")
    assert fold(served).api == served
    assert fold(served, ev.ApiServed(t=2)).api is None


def test_answered_requests_of_the_api_are_forgotten_and_conversations_are_not() -> None:
    chat = [ev.RequestStarted(t=0, request=f"c{i}", conversation="c", prompt="hi") for i in range(100)]
    api = [_api(f"a{i}") for i in range(2 * ANSWERED)]
    done = [ev.RequestDone(t=3, request=event.request, why="stop") for event in (*chat, *api[1:])]
    state = fold(*chat, *api, *done)
    kept = [f"c{i}" for i in range(100)] + ["a0"] + [f"a{i}" for i in range(ANSWERED, 2 * ANSWERED)]
    assert list(state.requests) == kept
    assert [request.id for request in state.open] == ["a0"]


def test_a_long_answer_is_not_forgotten_by_its_own_end() -> None:
    api = [_api(f"a{i}") for i in range(ANSWERED + 1)]
    done = [ev.RequestDone(t=3 + i, request=event.request, why="stop") for i, event in enumerate(api[1:])]
    state = fold(*api, *done, ev.RequestDone(t=1000, request="a0", why="stop"))
    assert "a0" in state.requests and "a1" not in state.requests

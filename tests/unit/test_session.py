from __future__ import annotations

import contextlib
import resource
import tracemalloc
from collections.abc import Iterator
from functools import reduce
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from core import events as ev
from core.bus import Bus
from core.plan.plan import Plan, Stage
from core.session import format as session
from core.session.format import Header, Recording, RecordingError, read
from core.session.keyframes import Keyframes
from core.session.record import Recorder
from core.session.recordings import Recordings
from core.session.replay import Player
from core.state import ClusterState, apply

PLAN = Plan(model="toy", layers=2, stages=(Stage("a", 0, 2),), context=64, backend="sockets")


def story(count: int) -> list[ev.AnyEvent]:
    """A run with `count` tokens, one a second, with a tick after each."""
    events: list[ev.AnyEvent] = [
        ev.DeviceSeen(t=0, device="a", name="a", address="127.0.0.1", status="ready"),
        ev.PlanChosen(t=0, plan=PLAN),
        ev.RunStarted(t=0, run="r", plan=PLAN),
        ev.RankPhased(t=0, run="r", rank=0, phase="ready"),
        ev.RequestStarted(t=0, request="q", conversation="c", prompt="hi"),
    ]
    for i in range(count):
        events += [ev.TokensStreamed(t=i + 1, request="q", ids=(i,), text=f"w{i} "), ev.Tick(t=i + 1.5)]
    return [*events, ev.RequestDone(t=count + 2, request="q", why="length", tokens=count)]


def record(path: Path, events: list[ev.AnyEvent]) -> ClusterState:
    bus = Bus()
    recorder = Recorder(bus, path)
    for event in events:
        bus.publish(event)
    recorder.close()
    return bus.state


def test_a_recording_replays_to_the_same_final_state(tmp_path: Path) -> None:
    final = record(tmp_path / "s", story(700))
    bus = Bus()
    player = Player(read(tmp_path / "s"), bus)
    player.to_end()
    assert bus.state == final
    assert not player.truncated


def test_a_recording_begun_in_mid_run_starts_from_the_state_it_found(tmp_path: Path) -> None:
    events = story(20)
    bus = Bus(reduce(apply, events[:15], ClusterState()))
    recorder = Recorder(bus, tmp_path / "s")
    for event in events[15:]:
        bus.publish(event)
    recorder.close()
    replayed = Bus()
    Player(read(tmp_path / "s"), replayed).to_end()
    assert replayed.state == bus.state


@pytest.mark.parametrize("back", [1, 7, 499, 500, 501, 1200])
def test_stepping_back_shows_what_was_there(tmp_path: Path, back: int) -> None:
    events = story(700)
    record(tmp_path / "s", events)
    bus = Bus()
    player = Player(read(tmp_path / "s"), bus)
    player.to_end()
    player.step(-back)
    assert bus.state == reduce(apply, events[: len(events) - back], ClusterState())
    assert player.paused
    player.step(+3)
    assert bus.state == reduce(apply, events[: min(len(events), len(events) - back + 3)], ClusterState())


def test_a_recording_cut_short_replays_to_the_cut(tmp_path: Path) -> None:
    record(tmp_path / "s", story(400))
    data = (tmp_path / "s").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    recording = read(tmp_path / "cut")
    assert recording.truncated
    assert 0 < len(recording.events) < len(story(400))
    assert list(recording.events) == story(400)[: len(recording.events)]


def test_what_a_killed_console_had_flushed_is_readable(tmp_path: Path) -> None:
    bus = Bus()
    recorder = Recorder(bus, tmp_path / "s")
    for event in story(30)[:-1]:
        bus.publish(event)
    copy = tmp_path / "copy"
    copy.write_bytes((tmp_path / "s").read_bytes())  # as the disk holds it, the recorder still open
    recording = read(copy)
    assert recording.truncated
    assert len(recording.events) == len(story(30)) - 1
    recorder.close()


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").write_bytes(b"")
    newer = msgspec.json.encode({"format": "exo-tui-session", "version": 99}) + b"\n"
    (tmp_path / "newer").write_bytes(zstandard.compress(newer))
    deep = newer.replace(b"99}", b'1, "more": ' + b"[" * 30_000)
    (tmp_path / "deep").write_bytes(zstandard.compress(deep))
    with pytest.raises(RecordingError, match="not an exo-tui recording"):
        read(tmp_path / "deep")
    with pytest.raises(RecordingError, match="not an exo-tui recording"):
        read(tmp_path / "text")
    with pytest.raises(RecordingError, match="not an exo-tui recording"):
        read(tmp_path / "empty")
    with pytest.raises(RecordingError, match="version 99; this exo-tui reads version 1"):
        read(tmp_path / "newer")
    with pytest.raises(RecordingError, match="cannot read"):
        read(tmp_path / "absent")


def test_a_small_file_that_unpacks_to_any_number_of_bytes_is_cut_at_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LARGEST", 2**20)
    header = msgspec.json.encode(Header(started=0, software={}, state=ClusterState()))
    bomb = zstandard.compress(header + b"\n" + b" " * 2**28)
    assert len(bomb) < 2**16
    (tmp_path / "bomb").write_bytes(bomb)
    tracemalloc.start()
    try:
        recording = read(tmp_path / "bomb")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert recording.truncated and recording.events == ()
    assert peak < 2**27


def test_a_recording_of_several_frames_is_read_to_its_end(tmp_path: Path) -> None:
    record(tmp_path / "s", story(5))
    more = b"\n".join(msgspec.json.encode(event) for event in story(5)) + b"\n"
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes() + zstandard.compress(more) * 300)
    recording = read(tmp_path / "s")
    assert not recording.truncated
    assert recording.events == tuple(story(5)) * 301


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(FileExistsError):
        Recorder(Bus(), tmp_path / "s")
    assert (tmp_path / "s").read_text() == "precious"


def film(events: list[ev.AnyEvent]) -> Recording:
    """A recording begun at time 0."""
    return Recording(Header(started=0, software={}, state=ClusterState()), tuple(events), truncated=False)


def test_seeking_shows_what_was_there_then() -> None:
    events = story(900)
    bus = Bus()
    player = Player(film(events), bus)
    for seconds in (400.2, 3.6, 899.9, 0.0, 10_000.0, -5.0):
        player.seek(seconds)
        moment = min(902, max(0.0, seconds))
        assert bus.state == reduce(apply, [event for event in events if event.t <= moment], ClusterState())
        assert player.elapsed == moment
    assert not player.paused


def test_jumping_goes_from_mark_to_mark() -> None:
    bus = Bus()
    player = Player(film(story(20)), bus)
    assert [mark.kind for mark in player.marks] == ["plan", "launch", "request"]
    texts = []
    while (mark := player.jump(+1)) is not None:
        texts.append(mark.text)
        assert player.position == mark.position
    assert texts == ["plan 2", "launch 2", "prompt: hi"]
    assert bus.state.requests and not bus.state.requests["q"].ids
    player.to_end()
    back = player.jump(-1)
    assert back is not None and back.text == "prompt: hi"
    assert bus.state.requests["q"].ids == ()


def test_states_folded_ahead_are_those_folded_at_once() -> None:
    events = story(2000)
    recording = film(events)
    ahead, lazy = Keyframes(recording), Keyframes(recording)
    while not ahead.complete:
        ahead.fold_ahead(0.001)
    for position in (0, 499, 500, 501, 1999, len(events)):
        assert ahead.at(position) == lazy.at(position) == reduce(apply, events[:position], ClusterState())


def test_a_clock_set_back_does_not_turn_the_film_back() -> None:
    player = Player(film([*story(10), ev.Tick(t=3.0), ev.Tick(t=40.0)]), Bus())
    player.to_end()
    player.step(-1)
    assert player.elapsed == 12
    assert all(b.elapsed >= a.elapsed for a, b in pairwise(player.marks))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[ev.AnyEvent], Path]:
    folder = tmp_path_factory.mktemp("cut")
    events = story(60)
    record(folder / "s", events)
    return (folder / "s").read_bytes(), events, folder / "cut"


@given(share=st.floats(0, 1))
@settings(deadline=None, max_examples=150)
def test_cut_at_any_byte_it_replays_to_the_cut(
    whole: tuple[bytes, list[ev.AnyEvent], Path], share: float
) -> None:
    data, events, file = whole
    file.write_bytes(data[: int(share * (len(data) - 1))])
    try:
        recording = read(file)
    except RecordingError:
        # Not even the first line is there, which is flushed when the file is opened.
        assert int(share * len(data)) < 800
        return
    count = len(recording.events)
    assert recording.truncated
    assert list(recording.events) == events[:count]
    bus = Bus()
    player = Player(recording, bus)
    player.to_end()
    assert bus.state == reduce(apply, events[:count], recording.header.state)
    # All that was flushed before the cut is there: a tick is never lost but the last.
    assert count >= sum(1 for _ in _flushed(data, int(share * (len(data) - 1)), events))


def _flushed(data: bytes, length: int, events: list[ev.AnyEvent]) -> list[ev.AnyEvent]:
    """Events whose flush ended before `length`, by decompressing what is there in one go."""
    got = zstandard.ZstdDecompressor().decompressobj().decompress(data[:length])
    return events[: max(0, got.count(b"\n") - 1)]


async def test_a_recording_is_begun_and_ended_while_the_cluster_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    events = story(12)
    bus = Bus(reduce(apply, events[:9], ClusterState()))
    recordings = Recordings(bus, None)
    recordings.begin("session")
    path = Path(bus.state.recording)
    assert path.parent == tmp_path / "exo-tui" / "sessions" and path.name.startswith("session-")
    for event in events[9:]:
        bus.publish(event)
    recordings.end()
    assert bus.state.recording == "" and not recordings.active
    replayed = Bus()
    Player(read(path), replayed).to_end()
    assert replayed.state.requests == bus.state.requests
    assert "saved as" in bus.state.alerts[-1].text


def test_what_cannot_be_recorded_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exo-tui").write_text("in the way")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    bus = Bus()
    recordings = Recordings(bus, None)
    recordings.begin("session")
    assert not recordings.active and bus.state.recording == ""
    assert "cannot record: Not a directory" in bus.state.alerts[-1].text


def test_what_a_full_disk_has_ended_is_told_as_ended_and_can_be_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    bus = Bus()
    recordings = Recordings(bus, None)
    recordings.begin("session")
    with no_more_bytes():
        bus.publish(ev.Tick(t=1.0))
        assert "the recording ends here: File too large" in bus.state.alerts[-1].text
        assert bus.state.recording == "" and not recordings.active
    recordings.end()
    assert not any("saved as" in alert.text for alert in bus.state.alerts)
    recordings.begin("bench")
    assert Path(bus.state.recording).name.startswith("bench-") and recordings.active
    recordings.end()


@contextlib.contextmanager
def no_more_bytes() -> Iterator[None]:
    """No file can grow meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

from __future__ import annotations

from functools import reduce
from pathlib import Path

import msgspec
import pytest
import zstandard

from core import events as ev
from core.bus import Bus
from core.plan.plan import Plan, Stage
from core.session.format import RecordingError, read
from core.session.record import Recorder
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
    with pytest.raises(RecordingError, match="not an exo-tui recording"):
        read(tmp_path / "text")
    with pytest.raises(RecordingError, match="not an exo-tui recording"):
        read(tmp_path / "empty")
    with pytest.raises(RecordingError, match="version 99; this exo-tui reads version 1"):
        read(tmp_path / "newer")
    with pytest.raises(RecordingError, match="cannot read"):
        read(tmp_path / "absent")


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(FileExistsError):
        Recorder(Bus(), tmp_path / "s")
    assert (tmp_path / "s").read_text() == "precious"

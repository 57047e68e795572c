"""What was recorded is what happened, up to wherever the file was cut."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

from core import events as ev
from core.bus import Bus
from core.session.format import Recording, RecordingError, read
from core.session.replay import Player
from core.state import ClusterState, apply
from tests.e2e.conftest import COUNT, PROMPT
from tests.e2e.rehearsed import rehearsed


def _fold(recording: Recording) -> ClusterState:
    return reduce(apply, recording.events, recording.header.state)


def _played(recording: Recording) -> ClusterState:
    bus = Bus()
    Player(recording, bus).to_end()
    return bus.state


async def test_a_live_session_replays_to_the_same_state(tiny, alone, tmp_path: Path) -> None:
    file = tmp_path / "session.exo"
    async with rehearsed(tiny("llama"), 2, tmp_path, split=(4, 2), max_tokens=COUNT, recording=file) as live:
        first = await live.answered(await live.asked(PROMPT))
        await live.until(lambda state: state.links and state.ticked > first.done.t, "a link, and a tick")
        second = await live.answered(await live.asked("And at night?"))
        live.cluster.stop()
        await live.until(lambda state: state.run and not state.run.live, "the run's end")
        heard = live.bus
    final = heard.state
    assert list(first.ids) == alone("llama")
    assert final.run and final.run.stopped and not final.run.stopped.failed

    recording = read(file)
    assert not recording.truncated
    assert _fold(recording) == final
    assert _played(recording) == final
    assert final.requests[second.id].ids == second.ids

    _every_cut_replays_up_to_it(file, recording)


def _every_cut_replays_up_to_it(file: Path, whole: Recording) -> None:
    data = file.read_bytes()
    cut = file.with_name("cut.exo")
    lengths = [len(data) * part // 41 for part in range(41)] + [1, 2, 3, len(data) - 1]
    reached = []
    for length in sorted(lengths):
        cut.write_bytes(data[:length])
        try:
            recording = read(cut)
        except RecordingError:
            # Only while not even the header is there; from then on every prefix is a recording.
            assert not reached
            continue
        assert recording.truncated
        count = len(recording.events)
        assert recording.events == whole.events[:count]
        assert _played(recording) == reduce(apply, whole.events[:count], whole.header.state)
        reached.append(count)
    assert reached == sorted(reached)
    assert len(set(reached)) > 2  # one a second, at each tick
    # What was flushed at the last tick is safe.
    ticks = [i for i, event in enumerate(whole.events) if isinstance(event, ev.Tick)]
    assert reached[-1] > ticks[-1]


def test_a_recorded_run_holds_the_answer_and_its_proof(exo, tiny, tmp_path: Path) -> None:
    file = tmp_path / "run.exo"
    asked = ("--prompt", PROMPT, "--max-tokens", COUNT, "--json", "--record", file)
    said = exo.run("run", tiny("llama"), "--demo-devices", 2, "--split", "1,5", *asked).json

    recording = read(file)
    assert not recording.truncated
    state = _played(recording)
    [request] = state.requests.values()
    assert (request.prompt, list(request.ids), request.text) == (PROMPT, said["tokens"], said["text"])
    assert state.run and state.run.certificate
    assert state.run.certificate.held_sha256 == said["certificate"]["held_sha256"]
    assert state.run.stopped and not state.run.stopped.failed
    assert set(recording.header.software) >= {"exo-tui", "mlx", "mlx-lm", "python"}
    kinds = {type(event) for event in recording.events}
    assert kinds >= {ev.PeerSeen, ev.DeviceSample, ev.PlanChosen, ev.RankBeat, ev.TokensStreamed, ev.Tick}


def test_a_run_that_failed_is_a_recording_too(exo, tiny, tmp_path: Path) -> None:
    file = tmp_path / "run.exo"
    where = ("--demo-devices", 2, "--split", "2,2,2")
    done = exo.run("run", tiny("llama"), "--prompt", "Hello", *where, "--record", file)
    assert done.code == 1
    recording = read(file)
    assert not recording.truncated
    failure = _played(recording).plan_failure
    assert failure and failure in done.complaint

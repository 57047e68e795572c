"""`exo-tui tune` on real ranks: splits around the plan are launched and judged, and the planner learns."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path

import pytest
from msgspec.structs import replace

from core import events as ev
from core.bench.suite import Repeats
from core.plan.calibrate import TOKENS
from core.session.format import read
from core.state import apply
from tui import cli, tune

TRIALS = 3
"""Of a launch, its warm-up among them."""
QUICK = replace(
    tune.SUITE,
    prompt=(8,),
    generate=(TOKENS + 10,),
    warm_s=0.0,
    repeats=Repeats(least=2, most=2, seconds=0.0),
)


def test_splits_around_the_plan_are_tried_and_teach_the_planner(
    tiny: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EXO_TUI_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(tune, "SUITE", QUICK)
    monkeypatch.setattr("core.bench.tune.ENOUGH_LAUNCHES", 1)
    file = tmp_path / "tune.exo"
    split = ("--split", "5,1", "--on", "demo-a,demo-b")  # one layer can go one way only
    code = cli.run(["tune", str(tiny("llama")), "--demo-devices", "2", *split, "--out", str(file), "--json"])
    told = capsys.readouterr()
    assert code == cli.DONE, told.err
    found = json.loads(told.out)

    assert (found["schema"], found["planned"], found["devices"]) == (
        "exo-tune/1",
        [5, 1],
        ["demo-a", "demo-b"],
    )
    assert found["reference"].startswith("a single process on demo-")
    first = found["tried"][0]
    assert (first["split"], first["refused"]) == ([4, 2], "") and first["tps"] > 0  # the same greedy text
    assert first["effect"]["verdict"] in ("faster", "slower", "no difference shown")
    assert f"4/2: {first['tps']:.2f} tok/s" in told.err

    recording = read(file)
    launched = [event.plan.split for event in recording.events if isinstance(event, ev.RunStarted)]
    assert launched[1:3] == [(5, 1), (4, 2)] and len(launched[0]) == 1
    state = reduce(apply, recording.events, recording.header.state)
    for name in found["devices"]:
        tuning = state.devices[name].tuning
        assert tuning is not None and tuning.eta_bw > 0
        assert tuning.tokens >= 2 * TRIALS * TOKENS  # of every launch that it had a part in

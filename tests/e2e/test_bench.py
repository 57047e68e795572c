"""A suite on real ranks: what is printed is what was recorded, and nothing is lost when it is ended."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from core import events as ev
from core.bench.report import report
from core.session.format import read
from tests.e2e.commandline import CommandLine
from tests.e2e.until import until

SUITE = """
name = "small"
prompt = [8]
depth = [0, 48]
generate = [12]
concurrency = [1, 2]
plans = ["auto", "single"]
repeats = { least = 2, most = 2, seconds = 0 }
warm_s = 0
goal = { ttft_s = 60, token_s = 60 }
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(SUITE)
    return file


def test_a_suite_is_measured_recorded_and_exported(
    exo: CommandLine, tiny: Callable[[str], Path], tmp_path: Path, suite: Path
) -> None:
    file = tmp_path / "small.exo"
    done = exo.run("bench", suite, tiny("llama"), "--demo-devices", 2, "--out", file, "--json")
    assert done.code == 0, done.complaint
    said = done.json

    assert {(row["plan"], row["trials"]) for row in said["results"]} == {("auto", 2), ("single", 2)}
    assert len(said["results"]) == 2 * 4
    for row in said["results"]:
        figures = row["figures"]
        # All requests are good: so many a second, of so many tokens each.
        goodput = figures["goodput_rps"]["mean"] * row["point"]["generate"]
        assert goodput == pytest.approx(figures["aggregate_tps"]["mean"])
        assert [rank["device"] for rank in row["ranks"]] == (
            ["demo-a", "demo-b"] if row["plan"] == "auto" else row["split"].split()[:1]
        )
        assert max(rank["peak"] for rank in row["ranks"]) == row["peak"] > 0
    # Each answer has the length asked for, and depth was in the caches.
    for trial in said["trials"]:
        for answer in trial["answers"]:
            assert len(answer["gaps_s"]) == 11
            assert answer["prompt"] == trial["point"]["prompt"] + trial["point"]["depth"]
            assert answer["reused"] == trial["point"]["depth"]
    card = said["provenance"]
    assert [plan["launches"] for plan in card["plans"]] == [1, 1]
    assert all(plan["held_sha256"] and plan["launch_s"] > 0 for plan in card["plans"])
    assert len(card["model_sha256"]) == 64 and card["suite"] == "small"
    assert [device["name"] for device in card["devices"]] == ["demo-a", "demo-b"]

    # The figures said live are those a reader makes of the tokens' own events; rank 0's clock agrees.
    recording = read(file)
    told = report(recording, file.name)
    live = [event.trial for event in recording.events if isinstance(event, ev.TrialDone)]
    assert list(told.trials) == live
    off = [
        answer.decode_tps / answer.told_decode_tps
        for trial in told.trials
        for answer in trial.answers
        if answer.decode_tps and answer.told_decode_tps
    ]
    assert sorted(off)[len(off) // 2] == pytest.approx(1, abs=0.5)  # another unit would be far off

    page = exo.run("export", file, "--to", "html")
    assert page.code == 0 and "<svg" in page.out
    compared = exo.run("compare", file, file, "--json").json
    assert {one["verdict"] for one in compared["comparisons"]} == {"no difference shown"}
    assert "single against auto" in exo.run("compare", file).out


def test_ctrl_c_keeps_what_was_measured(
    exo: CommandLine, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    suite = tmp_path / "long.toml"
    repeats = "repeats = { least = 500, most = 500 }"
    suite.write_text(f'name = "long"\nprompt = [8]\ngenerate = [8]\nwarm_s = 0\n{repeats}')
    file = tmp_path / "long.exo"
    with exo.started("bench", suite, tiny("llama"), "--demo-devices", 1, "--out", file, "--json") as bench:
        assert bench.stderr is not None
        until(lambda: "run 2" in bench.stderr.readline(), "two runs")  # type: ignore[union-attr]
        bench.send_signal(signal.SIGINT)
        out, _ = bench.communicate(timeout=60)
        assert bench.returncode == 130
    assert 2 <= json.loads(out)["results"][0]["trials"] < 500
    ends = [event for event in read(file).events if isinstance(event, ev.BenchDone)]
    assert [end.why for end in ends] == ["abort"]


def test_a_suite_that_cannot_be_is_refused_before_anything_starts(
    exo: CommandLine, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    assert exo.run("bench", "fastest", tiny("llama"), "--demo-devices", 1).code == 2
    deep = tmp_path / "deep.toml"
    deep.write_text('name = "deep"\ndepth = [1000000]')
    refused = exo.run("bench", deep, tiny("llama"), "--demo-devices", 1)
    assert refused.code == 2 and "needs a context of" in refused.complaint

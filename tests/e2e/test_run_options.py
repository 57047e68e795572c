"""What a run is launched with on Macs: asked for by flags and settings, given to the ranks, and recorded."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

from core.bench.card import lines
from core.bench.provenance import card
from core.events import Alert
from core.session.format import read
from core.state import Run, apply

CAFFEINATE = """#!/bin/sh
echo "$@" >>"{said}"
exec tail --pid="$3" -f /dev/null
"""
ASKED = ("--prompt", "hi", "--max-tokens", 2, "--json")


def _launched(file: Path) -> tuple[Run, str]:
    """The recorded run, and the line of its plan on the card."""
    recording = read(file)
    run = reduce(apply, recording.events, recording.header.state).run
    assert run is not None
    [plan] = [text for word, text in lines(card(recording)) if word == "plan"]
    return run, plan


def test_what_was_asked_for_reaches_the_ranks_and_the_recording(exo, directory, tmp_path) -> None:
    """`caffeinate` is a stand-in that ends, as the real one does, with the process it is given."""
    said, program, file = tmp_path / "said", tmp_path / "bin" / "caffeinate", tmp_path / "run.exo"
    program.parent.mkdir()
    program.write_text(CAFFEINATE.format(said=said))
    program.chmod(0o755)
    exo.env["PATH"] = f"{program.parent}:{exo.env['PATH']}"
    exo.configure("[run]\nfast_synch = true\nwired = false\nprefill_share = 0.25\n")
    split = ("--demo-devices", 2, "--split", "3,3")
    exo.run("run", directory("llama"), *ASKED, *split, "--awake", "--wired", "--record", file)

    run, plan = _launched(file)
    assert ", fast synch, kept awake, 25% for prompts, forecast" in plan
    pids = [rank.hello.pid for rank in run.ranks if rank.hello is not None and rank.hello.fast_synch]
    assert len(pids) == 2
    assert sorted(said.read_text().splitlines()) == sorted(f"-is -w {pid}" for pid in pids)


def test_what_a_device_has_or_lacks_by_itself_is_recorded_too(exo, directory, tmp_path) -> None:
    file = tmp_path / "run.exo"
    exo.env["MLX_METAL_FAST_SYNCH"] = "1"
    exo.run("run", directory("llama"), *ASKED, "--demo-devices", 1, "--awake", "--record", file)

    run, plan = _launched(file)
    assert "kept awake, demo-a: fast synch on in its environment" in plan
    assert any("not kept awake: caffeinate: No such file" in line for line in run.ranks[0].log)


def test_weights_become_float32_where_that_is_measured_to_be_faster(exo, directory, tmp_path) -> None:
    file = tmp_path / "run.exo"
    exo.run("run", directory("llama_q4"), *ASKED, "--demo-devices", 1, "--record", file)

    run, plan = _launched(file)
    assert "packed" not in plan
    [loaded] = [rank.loaded for rank in run.ranks]
    assert loaded is not None
    if loaded.packed_s is None or loaded.float_s is None:
        assert not (loaded.blas or loaded.dequantised)
        return
    assert loaded.blas
    assert loaded.dequantised == (loaded.float_s < loaded.packed_s)
    chosen = "weights became float32: " if loaded.dequantised else "weights stay packed: "
    assert [one.text for one in read(file).events if isinstance(one, Alert) and chosen in one.text]


def test_weights_stay_packed_unmeasured_where_that_is_asked_for(exo, directory, tmp_path) -> None:
    file = tmp_path / "run.exo"
    exo.run("run", directory("llama_q4"), *ASKED, "--demo-devices", 1, "--no-dequantise", "--record", file)

    run, plan = _launched(file)
    assert "packed weights kept" in plan
    [loaded] = [rank.loaded for rank in run.ranks]
    assert loaded is not None and (loaded.dequantised, loaded.packed_s) == (False, None)


def test_what_cannot_go_through_ssh_is_refused(exo, directory) -> None:
    pair = ("--demo-devices", 2, "--mode", "tensor", "--tunnel")
    said = exo.run("run", directory("llama"), *ASKED, *pair).complaint
    assert "share layers" in said and "not carried through SSH" in said

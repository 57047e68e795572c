"""What is typed before and after a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.cli import UsageError, parse


def test_an_option_may_stand_before_the_command_or_after_it() -> None:
    for typed in (
        ["--record", "s.exo", "--model", "m", "--awake", "demo"],
        ["demo", "--record", "s.exo", "--model", "m", "--awake"],
    ):
        args = parse(typed)
        assert (args.record, args.model, args.awake, args.wired) == (Path("s.exo"), "m", True, None)
    args = parse(["--record", "s.exo", "--fast-synch", "run", "m", "--prompt", "?"])
    assert (args.record, args.fast_synch, args.awake) == (Path("s.exo"), True, None)
    assert parse(["demo"]).record is None


def test_the_console_and_the_demo_take_what_a_plan_is_asked_for_as_the_commands_do() -> None:
    typed = ["--context", "8192", "--kv-bits", "4", "--backend", "ring", "--mode", "pipeline"]
    typed += ["--split", "2,1", "--on", "a+b,c"]
    for args in (
        parse(typed),
        parse(["demo", *typed]),
        parse([*typed, "demo"]),
        parse(["serve", "m", *typed]),
        parse(["plan", "m", *typed]),
    ):
        assert (args.context, args.kv_bits, args.backend, args.mode) == (8192, 4, "ring", "pipeline")
        assert (args.split, args.on) == ((2, 1), ("a+b", "c"))
    args = parse(["demo"])
    assert (args.context, args.kv_bits, args.backend, args.mode, args.split) == (None, None, None, None, ())


def test_options_may_stand_between_the_words_of_a_command() -> None:
    for typed in (
        ["bench", "depth", "m", "--context", "8192", "--json"],
        ["bench", "depth", "--context", "8192", "--json", "m"],
        ["--context", "8192", "bench", "--json", "depth", "m"],
    ):
        args = parse(typed)
        assert (args.suite, args.model, args.context, args.json) == ("depth", "m", 8192, True)
    assert parse(["bench", "--json", "m"]).suite == "quick"
    assert parse(["compare", "a", "--json", "b"]).files == [Path("a"), Path("b")]
    with pytest.raises(UsageError, match="required: MODEL"):
        parse(["bench", "--json"])


@pytest.mark.parametrize("command", [["bench", "quick", "m"], ["tune", "m"], ["devices"], ["info"]])
def test_a_recording_that_would_not_be_made_is_refused(command: list[str]) -> None:
    with pytest.raises(UsageError, match="--record is for"):
        parse(["--record", "s.exo", *command])

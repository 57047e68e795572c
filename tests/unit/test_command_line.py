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


@pytest.mark.parametrize("command", [["bench", "quick", "m"], ["tune", "m"], ["devices"], ["info"]])
def test_a_recording_that_would_not_be_made_is_refused(command: list[str]) -> None:
    with pytest.raises(UsageError, match="--record is for"):
        parse(["--record", "s.exo", *command])

"""A conversation as a person has it: asked, edited, left, and there again after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal, exo_tui, why_not

SMALL = (80, 24)

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def test_a_conversation_is_edited_and_there_after_a_restart(home: Path, tmp_path: Path) -> None:
    env = {
        "HOME": str(home),
        "EXO_TUI_CACHE": str(home / "cache"),
        "EXO_TUI_CONFIG": str(tmp_path / "config"),
        "EXO_TUI_DATA": str(tmp_path / "data"),
    }
    command = exo_tui("demo", "--devices", "1")
    with Terminal(command, SMALL, env) as terminal:
        terminal.sees("1 of 1 ready", "SmolLM2-135M-Instruct · 30 layers")
        terminal.press("i")
        terminal.write("What is the capital")
        terminal.press("C-j")
        terminal.write("of France?")
        terminal.press("Enter")
        terminal.sees("of France?", "Paris", "tok/s · TTFT")
        terminal.press("Escape")
        terminal.sees("e edit · r again")
        terminal.press("e")
        terminal.sees("editing")
        terminal.press("BSpace")
        terminal.write(", in a word?")
        terminal.press("Enter")
        terminal.until(lambda text: ", in a word?" in text and "editing" not in text, "the edited question")
        terminal.sees("tok/s · TTFT")
        terminal.press("Escape")
        terminal.sees("e edit · r again")
        terminal.press("q")
        terminal.sees("A run is live on 1 device")
        terminal.press("y")
        terminal.sees("exit code 0")
    (kept,) = (tmp_path / "data" / "rehearsal" / "conversations").glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    with Terminal(command, SMALL, env) as terminal:
        terminal.sees("1 of 1 ready")
        terminal.press("c")
        terminal.sees("What is the capital of France, in a word?", "1 question")
        terminal.press("Enter")
        terminal.sees("What is the capital", "of France, in a word?", "tok/s · TTFT")
        terminal.press("q")
        terminal.sees("exit code 0")

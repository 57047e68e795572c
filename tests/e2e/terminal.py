"""A real terminal: one program in one tmux window, seen as a person sees it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

LIMIT_S = 90.0
POLL_S = 0.1
DRAG_STEPS = 4


def why_not() -> str | None:
    """Why there is no such terminal here; None where there is."""
    return None if shutil.which("tmux") else "tmux is not installed"


class Terminal:
    """`command` in a window of `size`; a tmux server of its own, which ends with it."""

    def __init__(self, command: list[str], size: tuple[int, int], env: Mapping[str, str]) -> None:
        self._socket = f"exo-tui-{uuid.uuid4().hex[:8]}"
        width, height = map(str, size)
        given = [part for key, value in env.items() for part in ("-e", f"{key}={value}")]
        # What comes after keeps the window open, so that the exit code can be read.
        line = f'{shlex.join(command)}; echo "exit code $?"; read -r _'
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height, *given, line)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], check=False, capture_output=True)

    def _tmux(self, *args: str) -> str:
        # pytest's own idea of the window's size must not reach the program in it.
        env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        command = ["tmux", "-L", self._socket, *args]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
        return done.stdout

    @property
    def text(self) -> str:
        """What the window shows."""
        return self._tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names, one after the other."""
        self._tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        """Type text."""
        self._tmux("send-keys", "-l", text)

    def until(self, shown: Callable[[str], object], what: str, limit: float = LIMIT_S) -> str:
        """The text once it satisfies `shown`; fails with the last one after `limit` seconds."""
        end = time.monotonic() + limit
        while not shown(text := self.text):
            if time.monotonic() > end:
                raise AssertionError(f"not seen within {limit:.0f} s: {what}\n{text}")
            time.sleep(POLL_S)
        return text

    def sees(self, *words: str, limit: float = LIMIT_S) -> str:
        """The text once it holds all of `words`."""
        return self.until(lambda text: all(word in text for word in words), ", ".join(words), limit)

    # The mouse, as a terminal reports it (SGR); places are columns and lines from 0.

    def _report(self, code: int, at: tuple[int, int], end: str = "M") -> None:
        self.write(f"\x1b[<{code};{at[0] + 1};{at[1] + 1}{end}")

    def release(self, at: tuple[int, int]) -> None:
        """Let the left button go."""
        self._report(0, at, "m")

    def drag(self, start: tuple[int, int], end: tuple[int, int], *, release: bool = True) -> None:
        """Press the left button, move in steps, and let it go."""
        self._report(0, start)
        for i in range(1, DRAG_STEPS + 1):
            x, y = (a + (b - a) * i // DRAG_STEPS for a, b in zip(start, end, strict=True))
            self._report(32, (x, y))
        if release:
            self.release(end)

    def click(self, word: str) -> None:
        """Click on a word, the lowest one of it that is shown, once the screen stands still."""
        before = ""
        while before != (text := self.sees(word)):
            before = text
            time.sleep(2 * POLL_S)
        rows = text.splitlines()
        y, row = max((y, row) for y, row in enumerate(rows) if word in row)
        at = row.rindex(word), y
        self._report(0, at)
        self.release(at)

    def paste(self, text: str) -> None:
        """Paste text, as a middle click does."""
        self._tmux("set-buffer", text)
        self._tmux("paste-buffer", "-p")

    def processes(self) -> list[psutil.Process]:
        """Everything that was started in the window."""
        pane = int(self._tmux("display-message", "-p", "#{pane_pid}"))
        return psutil.Process(pane).children(recursive=True)


def exo_tui(*args: str) -> list[str]:
    """The command line of `exo-tui args`."""
    return [str(Path(sys.executable).parent / "exo-tui"), *args]

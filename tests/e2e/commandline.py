"""`exo-tui` as a script runs it: no terminal, two pipes and an exit code; and all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

from tests.e2e.until import LIMIT_S, until

PROGRAM = Path(sys.executable).with_name("exo-tui")
MARK = "EXO_TUI_TEST"
"""In the environment of everything a command started, directly or not, whoever its parent is by now."""


class Done(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """The one JSON document of a command that went well."""
        assert self.code == 0, self.err
        return msgspec.json.decode(self.out)

    @property
    def complaint(self) -> str:
        """The one line of a command that did not, without its prefix, but for what a rank wrote last."""
        prefix = "exo-tui: "
        assert self.out == "", "a complaint is no output"
        *others, line = self.err.splitlines()
        assert line.startswith(prefix), self.err
        assert all(other.startswith(f"{prefix}rank ") and ", stderr: " in other for other in others), self.err
        return line.removeprefix(prefix).strip()


class CommandLine:
    """Runs `exo-tui` with settings, caches and temporary files of its own."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self._mark = uuid.uuid4().hex
        self.config = folder / "config"
        self.scratch = folder / "scratch"
        for path in (self.config, self.scratch):
            path.mkdir()
        own = {"EXO_TUI_CONFIG": str(self.config), "TMPDIR": str(self.scratch), MARK: self._mark}
        self.env = {**os.environ, **env, **own}

    def configure(self, text: str) -> None:
        """Write config.toml."""
        (self.config / "config.toml").write_text(text)

    def run(self, *args: object, prefix: tuple[str, ...] = (), limit: float = 2 * LIMIT_S) -> Done:
        """Run a command to its end."""
        done = subprocess.run(
            [*prefix, PROGRAM, *map(str, args)],
            env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def started(self, *args: object) -> Iterator[subprocess.Popen[str]]:
        """A command at work, in a process group of its own as under a shell."""
        with subprocess.Popen(
            [PROGRAM, *map(str, args)],
            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, process_group=0,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def alive(self, word: str = "") -> list[psutil.Process]:
        """What lives of all the commands started, with `word` in its command line."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                # A zombie has no environment left, and is not alive.
                if process.environ().get(MARK) == self._mark and word in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def leaves_nothing(self, limit: float = LIMIT_S) -> None:
        """Fail unless everything that was started ends within `limit` seconds."""
        try:
            until(lambda: not self.alive(), "nothing left alive", limit)
        finally:
            for process in self.alive():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)

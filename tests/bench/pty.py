"""A program in a pseudo-terminal of its own: what it writes, when, and how much."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Mapping, Sequence

import psutil

_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78]|\][^\x07]*\x07)")


class Pty:
    """Runs `argv` in a terminal of so many columns and rows; a thread reads all that comes."""

    def __init__(self, argv: Sequence[str], size: tuple[int, int], env: Mapping[str, str]) -> None:
        self.started = time.perf_counter()
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            given = {
                key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")
            }
            os.execvpe(
                argv[0], list(argv), {**given, "TERM": "xterm-256color", "COLORTERM": "truecolor", **env}
            )
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.process = psutil.Process(self._pid)
        self._came: list[tuple[float, bytes]] = []
        self._more = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            select.select([self._fd], [], [])
            now = time.perf_counter()
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                return
            if not data:
                return
            if b"\x1b[?2026$p" in data:  # may the picture be written in one piece? as most terminals say: yes
                os.write(self._fd, b"\x1b[?2026;2$y")
            with self._more:
                self._came.append((now, data))
                self._more.notify_all()

    @property
    def written(self) -> int:
        """Bytes so far."""
        with self._more:
            return sum(len(data) for _, data in self._came)

    def press(self, keys: str) -> float:
        """Type; returns when."""
        with self._more:
            self._came.clear()
        now = time.perf_counter()
        os.write(self._fd, keys.encode())
        return now

    def sees(self, pattern: str, limit: float = 30.0) -> float:
        """When what came since the last key matched `pattern`, escapes left out. Raises TimeoutError."""
        wanted = re.compile(pattern)
        end = time.perf_counter() + limit
        with self._more:
            while True:
                text = _ESCAPES.sub(b"", b"".join(data for _, data in self._came)).decode(errors="replace")
                if wanted.search(text):
                    return self._came[-1][0]
                left = end - time.perf_counter()
                if left <= 0 or not self._more.wait(left):
                    raise TimeoutError(f"not seen: {pattern}\n{text[-2000:]}")

    def cpu(self) -> float:
        """Seconds of processor so far."""
        times = self.process.cpu_times()
        return times.user + times.system

    def memory(self) -> float:
        """Resident megabytes."""
        return self.process.memory_info().rss / 1e6

    def close(self) -> None:
        """End it, kindly first."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(self._pid, number)
                psutil.wait_procs([self.process], timeout=2)
            except ProcessLookupError:
                break
        try:
            os.waitpid(self._pid, os.WNOHANG)
            os.close(self._fd)
        except OSError:
            pass

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
from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence

import psutil

from tests.glass import Glass

OTHERS = ("NO_COLOR", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE")
"""What a person's terminal does not have set, nor a second start without compiled modules."""


class Pty:
    """Runs `argv` in a terminal of so many columns and rows; a thread reads all that comes."""

    def __init__(self, argv: Sequence[str], size: tuple[int, int], env: Mapping[str, str]) -> None:
        self.started = time.perf_counter()
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            given = {key: value for key, value in os.environ.items() if key not in OTHERS}
            os.execvpe(
                argv[0], list(argv), {**given, "TERM": "xterm-256color", "COLORTERM": "truecolor", **env}
            )
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.process = psutil.Process(self._pid)
        self._glass = Glass(*size)
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        self._came = 0.0
        self._written = 0
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
                self._came = now
                self._written += len(data)
                self._glass.feed(self._decode(data))
                self._more.notify_all()

    @property
    def written(self) -> int:
        """Bytes so far."""
        return self._written

    def press(self, keys: str) -> float:
        """Type; returns when."""
        now = time.perf_counter()
        os.write(self._fd, keys.encode())
        return now

    def sees(self, pattern: str, limit: float = 30.0) -> float:
        """When what made the terminal show `pattern` came. Raises TimeoutError."""
        wanted = re.compile(pattern)
        end = time.perf_counter() + limit
        with self._more:
            while not wanted.search(self._glass.text):
                left = end - time.perf_counter()
                if left <= 0 or not self._more.wait(left):
                    raise TimeoutError(f"not seen: {pattern}\n{self._glass.text}")
            return self._came

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

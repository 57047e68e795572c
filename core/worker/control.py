# pyright: basic
"""The control channel to the console: JSON lines on the process's own stdin and stdout, and the beat."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import mlx.core as mx

BEAT = 1.0  # seconds, where the console names no other interval


class Stopped(Exception):
    """The console asked for a clean end."""


class ControlError(Exception):
    """The console said something that cannot be meant here."""


class Channel:
    """Events up, operations down, and what this rank is doing right now."""

    def __init__(self) -> None:
        sys.stdout.flush()
        # Prints of any library must not corrupt the channel: fd 1 becomes the log, the real one is put aside.
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()
        self._unsaid: deque[dict[str, Any]] = deque()
        self._operations: queue.Queue[dict[str, Any]] = queue.Queue()
        self._news = threading.Condition()
        self._requests: dict[int, dict[str, Any]] = {}
        self._cancelled: set[str] = set()
        self._places: dict[str, int] = {}
        self.stopping = False
        self.phase_name = "environment"
        self._state = "busy"
        self._since = time.monotonic()
        self.step = 0
        self.every = BEAT
        self.measured: Callable[[], dict[str, Any]] = dict  # goes into each beat
        threading.Thread(target=self._read, name="control", daemon=True).start()

    def emit(self, ev: str, **fields: Any) -> None:
        """Write one event; never interleaved with another thread's."""
        self.later(ev, **fields)
        self.flush()

    def later(self, ev: str, **fields: Any) -> None:
        """An event that the next `flush` or `emit` writes, before its own."""
        self._unsaid.append({"ev": ev, **fields})

    def flush(self) -> None:
        """Write what is to be said."""
        with self._lock:
            said = [self._unsaid.popleft() for _ in range(len(self._unsaid))]
            lines = b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in said)
            try:
                while lines:
                    lines = lines[os.write(self._out, lines) :]
            except OSError:  # the console is gone: nothing said here can be heard
                os._exit(1)

    def phase(self, name: str, done: int, total: int) -> None:
        """Report how far a phase of the start is."""
        self.phase_name = name
        self.now("busy", self.step + 1)
        self.emit("phase", phase=name, done=done, total=total)

    def now(self, state: str, step: int | None = None) -> None:
        """Note "busy", "waiting" (on a neighbour) or "idle"; liveness is judged by the step counter."""
        self._state, self._since = state, time.monotonic()
        if step is not None:
            self.step = step

    def start_beating(self) -> None:
        """Report state and memory (bytes) every so many seconds from a thread of its own."""
        threading.Thread(target=self._beat, name="beat", daemon=True).start()

    def take(self, expected: str) -> dict[str, Any]:
        """Block for the next operation of the start. Raises Stopped for `stop`, ControlError for another."""
        while True:
            operation = self._operations.get()
            op = operation.get("op")
            if op == "stop":
                raise Stopped
            if op == expected:
                return operation
            raise ControlError(f"op {op!r} while waiting for {expected}")

    def waiting(self, *, block: bool) -> list[int]:
        """Numbers of the requests asked for and not yet forgotten, in order; `block`: until there is one.

        Raises Stopped.
        """
        with self._news:
            self._news.wait_for(lambda: self._requests or self.stopping or not block)
            if self.stopping:
                raise Stopped
            return sorted(self._requests)

    def request(self, number: int) -> dict[str, Any]:
        """A request by its number; blocks until the console's word has come here too. Raises Stopped."""
        with self._news:
            self._news.wait_for(lambda: number in self._requests or self.stopping)
            if number not in self._requests:
                raise Stopped
            return self._requests[number]

    def cancelled(self, request: str) -> bool:
        """Whether the request, queued or running, is to end now."""
        return request in self._cancelled

    def place(self, request: str) -> int:
        """Where a waiting request was put in the queue; behind all those where it was not."""
        return self._places.get(request, len(self._places))

    def forget(self, number: int) -> None:
        """The request is over: a later cancel of it means nothing."""
        with self._news:
            self._cancelled.discard(str(self._requests.pop(number)["id"]))

    def _read(self) -> None:
        # Raw reads: a thread blocked inside sys.stdin would break the interpreter's own shutdown.
        rest = b""
        while data := os.read(0, 1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.strip():
                    self._accept(line)
        os._exit(0)

    def _accept(self, line: bytes) -> None:
        try:
            operation = json.loads(line)
            with self._news:
                match operation["op"]:
                    case "generate":
                        self._requests[int(operation["number"])] = operation | {"id": str(operation["id"])}
                    case "cancel":
                        wanted = str(operation["id"])
                        if any(one["id"] == wanted for one in self._requests.values()):
                            self._cancelled.add(wanted)
                    case "order":
                        self._places = {str(name): place for place, name in enumerate(operation["ids"])}
                    case op:
                        self.stopping = self.stopping or op == "stop"
                        self._operations.put(operation)
                self._news.notify_all()
        except (ValueError, KeyError, TypeError) as error:
            self.emit("error", phase=self.phase_name, text=f"not an operation: {line[:80]!r} ({error!r})")
            os._exit(1)

    def beat(self) -> None:
        """Report state and memory (bytes) now."""
        self.emit(
            "beat",
            state=self._state,
            age=round(time.monotonic() - self._since, 3),
            step=self.step,
            active=mx.get_active_memory(),
            peak=mx.get_peak_memory(),
            cache=mx.get_cache_memory(),
            **self.measured(),
        )

    def _beat(self) -> None:
        while True:
            self.beat()
            time.sleep(self.every)

"""Impairs a cable from outside the kernel, for machines whose kernel has no netem.

Moves Ethernet frames between two interfaces over packet sockets. PACKET_VNET_HDR lets segments not yet cut
and checksums not yet filled in pass unchanged. Run as a script: JSON lines on stdin, one answer each; ends
at EOF.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import json
import os
import random
import select
import socket
import struct
import time
from typing import Any

SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING, ETH_P_ALL = 263, 15, 23, 3
SO_RCVBUFFORCE, SO_SNDBUFFORCE, PR_SET_TIMERSLACK = 33, 32, 29
VNET_HDR = 10
FRAME = VNET_HDR + 14 + 65536 + 64
PREAMBLE_AND_GAP = 24


def open_interface(name: str) -> socket.socket:
    """A packet socket that sees what arrives at `name`."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packets.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    packets.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    for option in (SO_RCVBUFFORCE, SO_SNDBUFFORCE):
        with contextlib.suppress(OSError):
            packets.setsockopt(socket.SOL_SOCKET, option, 32 << 20)
    packets.bind((name, ETH_P_ALL))
    packets.setblocking(False)
    return packets


class Way:
    """One direction of one cable."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.queue: collections.deque[tuple[float, bytes]] = collections.deque()
        self.delay = self.loss = self.rate = self.free_at = self.last_due = 0.0
        self.longest_queue, self.blackhole = 0.05, False

    def set(self, message: dict[str, Any]) -> None:
        """Take what the message names; the rest stays."""
        self.delay = message.get("delay_ms", self.delay * 1e3) / 1e3
        self.loss = message.get("loss", self.loss)
        self.rate = message.get("rate_mbit", self.rate / 1e6) * 1e6
        self.longest_queue = message.get("queue_ms", self.longest_queue * 1e3) / 1e3
        self.blackhole = message.get("blackhole", self.blackhole)

    def take(self, now: float) -> None:
        """Take what has arrived, a bounded number so that the other ways get their turn."""
        for _ in range(64):
            try:
                frame = self.source.recv(FRAME)
            except OSError:  # nothing more, or the interface went down
                return
            if self.blackhole or (self.loss and random.random() < self.loss):
                continue
            due = now
            if self.rate:
                start = max(self.free_at, now)
                if start - now > self.longest_queue:
                    continue
                self.free_at = due = start + _on_the_wire(frame) * 8 / self.rate
            self.last_due = due = max(due + self.delay, self.last_due)
            if due <= now and not self.queue:
                self._send(frame)
            else:
                self.queue.append((due, frame))

    def flush(self, now: float) -> float | None:
        """Send what is due; when the next is."""
        while self.queue and self.queue[0][0] <= now:
            self._send(self.queue.popleft()[1])
        return self.queue[0][0] if self.queue else None

    def _send(self, frame: bytes) -> None:
        with contextlib.suppress(OSError):
            self.target.send(frame)


def _on_the_wire(frame: bytes) -> int:
    """Bytes, counting the headers of the segments that the frame is yet to be cut into."""
    segment: int = struct.unpack_from("<H", frame, 4)[0] if frame[1] else 0
    more = ((len(frame) - 64) // segment) * 66 if segment else 0
    return len(frame) - VNET_HDR + more + PREAMBLE_AND_GAP


class Shim:
    """Every impaired cable."""

    def __init__(self) -> None:
        self.cables: dict[str, tuple[Way, Way]] = {}
        self.ways: dict[socket.socket, Way] = {}

    def obey(self, message: dict[str, Any]) -> str:
        """Do what one line says; the answer."""
        try:
            if message["op"] == "add":
                a, b = (open_interface(name) for name in message["ends"])
                self.cables[message["id"]] = (Way(a, b), Way(b, a))
                self.ways[a], self.ways[b] = self.cables[message["id"]]
            for way in self.cables[message["id"]]:
                way.set(message)
        except (OSError, KeyError) as error:
            return repr(error)
        return "ok"

    def run(self) -> None:
        """Until EOF."""
        told = b""
        while True:
            due = [at for way in self.ways.values() if (at := way.flush(time.monotonic())) is not None]
            timeout = max(0.0, min(due) - time.monotonic()) if due else None
            ready = select.select([0, *self.ways], [], [], timeout)[0]
            now = time.monotonic()
            for source in ready:
                if isinstance(source, socket.socket):
                    self.ways[source].take(now)
                    continue
                if not (data := os.read(0, 65536)):
                    return
                *lines, told = (told + data).split(b"\n")
                for line in lines:
                    os.write(1, self.obey(json.loads(line)).encode() + b"\n")


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0)  # in ns, for delays below a millisecond
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    Shim().run()

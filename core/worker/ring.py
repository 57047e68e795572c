# pyright: basic
"""The wire over MLX's own ring backend."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from typing import Any

import mlx.core as mx

from .wire import WORDS, Frame, Lost, frame_of, shape_of


def free_port(address: str) -> int:
    """A TCP port free on `address` (IPv4) now: the ring binds it itself, a moment later."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


class Ring:
    """A Wire over mx.distributed; its group can be made once in a process and never be repaired.

    While `init` waits for its neighbours it holds the GIL: no beat goes out, only the guard can end it. While
    a rank waits in `receive` MLX spins on the socket and takes a core; hence ranks wait for the next request
    on the control channel.
    """

    def __init__(self, rank: int, peers: list[tuple[str, int]]) -> None:
        """Blocks until both neighbours stand. Raises Lost when the right one cannot be reached."""
        size = len(peers)
        self._left, self._right = (rank - 1) % size, (rank + 1) % size
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump([[f"{address}:{port}"] for address, port in peers], file)
        os.environ["MLX_HOSTFILE"] = file.name
        os.environ["MLX_RANK"] = str(rank)
        try:
            self.group = self._group = mx.distributed.init(strict=True, backend="ring")
        except RuntimeError as error:
            raise Lost(self._right, "right", str(error)) from error
        finally:
            os.unlink(file.name)

    def send(self, frame: Frame) -> None:
        """See Wire."""
        parts = [mx.array(frame.header(), mx.int32)]
        if frame.tensor is not None:
            parts.append(frame.tensor)
        # Whatever fails in the model fails before, so that what is left to raise below is the wire's.
        mx.eval(parts)
        try:
            for part in parts:  # one eval each: order within one is not promised, and the other order hangs
                mx.eval(mx.distributed.send(part, self._right, group=self._group))
        except RuntimeError as error:
            raise Lost(self._right, "right", str(error)) from error

    def receive(self) -> Frame:
        """See Wire."""
        try:
            header: Any = self._receive((WORDS,), mx.int32).tolist()
            announced = shape_of(header)
            tensor = self._receive(*announced) if announced is not None else None
            return frame_of(header, tensor)
        except (RuntimeError, ValueError) as error:
            raise Lost(self._left, "left", str(error)) from error

    def arrived(self) -> bool:
        """See Wire; MLX has no way to look."""
        return False

    def close(self) -> None:
        """See Wire; MLX lets go of its sockets only with the process."""

    def _receive(self, shape: tuple[int, ...], dtype: mx.Dtype) -> mx.array:
        array = mx.distributed.recv(shape, dtype, self._left, group=self._group)
        mx.eval(array)
        return array

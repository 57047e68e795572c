# pyright: basic
"""The wire over MLX's own groups, and how one is made over its ring."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import mlx.core as mx

from .control import ControlError
from .wire import WORDS, Frame, Lost, frame_of, shape_of


def free_port(address: str) -> int:
    """A TCP port free on `address` now: the ring binds it itself, a moment later. Raises ControlError for one
    of IPv6, which MLX cannot read."""
    if ":" in address:
        raise ControlError(f"MLX's ring wants IPv4, and this device is reached at {address}")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def meet(rank: int, peers: list[tuple[str, int]]) -> mx.distributed.Group:
    """Blocks until both neighbours stand. Raises Lost when the right one cannot be reached."""
    hosts = [[f"{address}:{port}"] for address, port in peers]
    try:
        return init("ring", {"MLX_HOSTFILE": hosts}, {"MLX_RANK": str(rank)})
    except RuntimeError as error:
        raise Lost((rank + 1) % len(peers), "right", str(error)) from error


def init(backend: str, files: dict[str, Any], env: dict[str, str]) -> mx.distributed.Group:
    """MLX's group, made once in a process and never to be repaired. `files`: variables that name a JSON file.

    While it waits for its neighbours it holds the GIL: no beat goes out, only the guard can end it. Raises
    RuntimeError.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, document in files.items():
            path = Path(folder, name)
            path.write_text(json.dumps(document))
            os.environ[name] = str(path)
        os.environ.update(env)
        return mx.distributed.init(strict=True, backend=backend)


class Ring:
    """A Wire over a group of mx.distributed whose ranks are joined in a ring at least.

    While a rank waits in `receive` MLX spins on the socket and takes a core; hence ranks wait for the next
    request on the control channel.
    """

    def __init__(self, rank: int, group: mx.distributed.Group) -> None:
        self._left, self._right = (rank - 1) % group.size(), (rank + 1) % group.size()
        self._group = group

    @property
    def group(self) -> mx.distributed.Group:
        """MLX's."""
        return self._group

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

# pyright: basic
"""The wire over two blocking TCP connections: one from the left neighbour, one to the right."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import math
import select
import selectors
import socket
import struct
import time
from typing import Any

import mlx.core as mx

from .wire import WORDS, Frame, Lost, frame_of, shape_of

HEADER = struct.Struct(f"<{WORDS}i")
TOKEN = 32  # bytes
HELLO = struct.Struct(f"<{TOKEN}si")  # launch token, sender's rank
CONNECT = 10.0  # seconds for a connection to stand
STRANGER = 5.0  # seconds a caller has to present the token
# Buffer formats, see `struct`; the other dtypes travel as their bits. No numpy: after a pass over the weights
# nothing of it is left in the processor's caches, and each call takes 0.3 ms. And no new buffer for a frame:
# glibc tidies up behind the pass before it gives out more than a kilobyte, which takes 0.5 ms.
PLAIN: dict[mx.Dtype, Any] = {mx.float32: "f", mx.int32: "i"}
BITS: Any = "H"
ROOM = 1 << 16  # bytes for what comes in, to begin with


class Listener:
    """The port on which the left neighbour will call. Raises OSError when `address` is not this machine's."""

    def __init__(self, address: str) -> None:
        family, kind, proto, _, where = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0]
        self._socket = socket.socket(family, kind, proto)
        self._socket.bind(where)
        self._socket.listen(16)
        self.port: int = self._socket.getsockname()[1]

    def accept(self, token: bytes, rank: int) -> socket.socket:
        """Block until rank `rank` calls with the launch token; anybody else is hung up on."""
        waiting: dict[socket.socket, tuple[bytearray, float]] = {}
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as strangers:
            selector.register(self._socket, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(1.0 if waiting else None):
                    if key.fileobj is self._socket:
                        caller, _ = self._socket.accept()
                        strangers.callback(caller.close)
                        caller.setblocking(False)
                        waiting[caller] = (bytearray(), time.monotonic() + STRANGER)
                        selector.register(caller, selectors.EVENT_READ)
                        continue
                    caller = key.fileobj
                    assert isinstance(caller, socket.socket)
                    said, _ = waiting[caller]
                    try:
                        data = caller.recv(HELLO.size - len(said))
                    except OSError:
                        data = b""
                    said += data
                    if len(said) == HELLO.size:
                        theirs, sender = HELLO.unpack(said)
                        if hmac.compare_digest(theirs, token) and sender == rank:
                            caller.setblocking(True)
                            mine = caller.dup()  # the stack closes what it knows, strangers and this handle
                            mine.settimeout(None)
                            return mine
                        data = b""
                    if not data:
                        self._drop(selector, waiting, caller)
                for caller, (_, deadline) in list(waiting.items()):
                    if time.monotonic() > deadline:
                        self._drop(selector, waiting, caller)

    @staticmethod
    def _drop(selector: selectors.BaseSelector, waiting: dict, caller: socket.socket) -> None:
        selector.unregister(caller)
        del waiting[caller]
        caller.close()

    def close(self) -> None:
        """Nobody else may call."""
        self._socket.close()


class Sockets:
    """A Wire over TCP, with a launch token so that no stranger is taken for a neighbour."""

    def __init__(self, listener: Listener, rank: int, peers: list[tuple[str, int]], token: bytes) -> None:
        """Blocks until both neighbours stand. Raises Lost, or ValueError for a token of another length."""
        if len(token) != TOKEN:
            raise ValueError(f"the launch token has {len(token)} bytes, not {TOKEN}")
        self._room = memoryview(bytearray(ROOM))
        size = len(peers)
        self._left_rank, self._right_rank = (rank - 1) % size, (rank + 1) % size
        address, port = peers[self._right_rank]
        try:
            self._right = socket.create_connection((address, port), CONNECT)
            self._right.sendall(HELLO.pack(token, rank))
        except OSError as error:
            raise Lost(self._right_rank, "right", f"no connection to {address}:{port}: {error}") from error
        self._left = listener.accept(token, self._left_rank)
        listener.close()
        for end in (self._left, self._right):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._right.settimeout(None)
        # The answer proves that the right one knows the token too, and that it has let this rank in.
        proof = hashlib.sha256(token).digest()
        self._write(self._left, self._left_rank, "left", proof)
        if not hmac.compare_digest(self._read(self._right, self._right_rank, "right", len(proof)), proof):
            raise Lost(self._right_rank, "right", f"{address}:{port} does not know the launch token")

    def send(self, frame: Frame) -> None:
        """See Wire."""
        header = HEADER.pack(*frame.header())
        if frame.tensor is None:
            self._write(self._right, self._right_rank, "right", header)
            return
        tensor = frame.tensor
        if tensor.dtype not in PLAIN:
            tensor = tensor.view(mx.uint16)
        payload: Any = memoryview(tensor)  # type: ignore[arg-type]
        payload = payload.cast("B") if payload.c_contiguous else memoryview(payload.tobytes())
        self._write(self._right, self._right_rank, "right", header, payload)

    def receive(self) -> Frame:
        """See Wire."""
        header = list(HEADER.unpack(self._read(self._left, self._left_rank, "left", HEADER.size)))
        try:
            announced = shape_of(header)
            tensor = None
            if announced is not None:
                shape, dtype = announced
                data = self._read(self._left, self._left_rank, "left", math.prod(shape) * dtype.size)
                tensor = mx.array(data.cast(PLAIN.get(dtype, BITS), shape))
                tensor = tensor if dtype in PLAIN else tensor.view(dtype)
            return frame_of(header, tensor)
        except ValueError as error:
            raise Lost(self._left_rank, "left", str(error)) from error

    def arrived(self) -> bool:
        """See Wire."""
        return bool(select.select([self._left], [], [], 0)[0])

    def close(self) -> None:
        """See Wire."""
        self._left.close()
        self._right.close()

    @staticmethod
    def _write(end: socket.socket, rank: int, side: str, *parts: bytes | memoryview) -> None:
        try:
            sent = end.sendmsg(parts)
            for part in parts:
                if sent < len(part):
                    end.sendall(part[sent:])
                sent = max(0, sent - len(part))
        except OSError as error:
            raise Lost(rank, side, str(error)) from error

    def _read(self, end: socket.socket, rank: int, side: str, count: int) -> memoryview:
        """What comes next; it is there until the next call."""
        if count > len(self._room):
            self._room = memoryview(bytearray(count))
        data = view = self._room[:count]
        while view:
            try:
                got = end.recv_into(view)
            except OSError as error:
                raise Lost(rank, side, str(error)) from error
            if not got:
                raise Lost(rank, side, "the connection was closed")
            view = view[got:]
        return data

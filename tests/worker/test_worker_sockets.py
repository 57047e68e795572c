"""Frames between two ranks over TCP."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import mlx.core as mx
import pytest

from core.worker.sockets import TOKEN, Listener, Sockets
from core.worker.wire import Frame, Op
from tests.worker.cluster import LIMIT

SHAPES = [(1, 1, 3), (1, 700, 4096), (1, 1, 4096)]


@pytest.fixture
def wires() -> Iterator[tuple[Sockets, Sockets]]:
    listeners = [Listener("127.0.0.1") for _ in range(2)]
    peers = [("127.0.0.1", one.port) for one in listeners]
    token = secrets.token_bytes(TOKEN)
    with ThreadPoolExecutor(2) as threads:
        made = [threads.submit(Sockets, one, rank, peers, token) for rank, one in enumerate(listeners)]
        left, right = (one.result(LIMIT) for one in made)
    yield left, right
    left.close()
    right.close()


def _frames(dtype: mx.Dtype) -> list[Frame]:
    return [
        Frame(Op.STEP, slot, tensor=(mx.random.uniform(shape=shape) * 1000).astype(dtype))
        for slot, shape in enumerate(SHAPES)
    ]


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16, mx.int32])
@pytest.mark.parametrize("bit_by_bit", [False, True])
def test_what_comes_stays_what_it_was_when_more_comes(wires, dtype: mx.Dtype, bit_by_bit: bool) -> None:
    left, right = wires
    if bit_by_bit:
        left._right.settimeout(LIMIT)  # then a write takes what there is room for
    right._left.settimeout(LIMIT)
    sent = _frames(dtype)

    def receive() -> list[Frame]:
        with closing(right):  # who sends is not to wait for one that gave up
            frames = [right.receive() for _ in sent]
            mx.eval([frame.tensor for frame in frames])  # arrays belong to the thread that made them
            return frames

    with ThreadPoolExecutor(1) as threads:
        receiving = threads.submit(receive)
        for frame in sent:
            left.send(frame)
        came = receiving.result(LIMIT)
    for one, other in zip(came, sent, strict=True):
        assert one.slot == other.slot and one.tensor is not None and other.tensor is not None
        assert one.tensor.dtype == dtype and mx.array_equal(one.tensor, other.tensor)

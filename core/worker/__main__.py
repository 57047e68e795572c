# pyright: basic
"""One rank: its phases up to ready, then requests until it is told to stop.

Exit codes: 0 stopped, 1 an error (said in one `error` event), 3 a neighbour was lost. Always os._exit: a
thread of MLX that waits on a dead neighbour would hold up an orderly shutdown for ever.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

# A worker reads the directory it is given and never the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from .control import Channel, ControlError, Stopped
from .wire import Lost, Wire

if TYPE_CHECKING:
    import mlx.core as mx

    from .tensor import Place


MEETINGS = ("ring", "jaccl", "jaccl-ring")  # backends whose ranks meet in a group of MLX's


def main() -> int:
    """Run the rank; the exit code."""
    channel = Channel()
    try:
        _run(channel)
    except Stopped:
        return 0
    except Lost as error:
        channel.emit("error", phase="wire", text=str(error), rank=error.neighbour)
        return 3
    except Exception as error:  # the one place where everything else becomes one line for the console
        traceback.print_exc()
        kind = "refused" if _refuses(error) else "failed"
        channel.emit("error", phase=channel.phase_name, text=_one_line(error), kind=kind)
        return 1
    return 0


def _run(channel: Channel) -> None:
    channel.start_beating()
    channel.phase("environment", 0, 1)
    start = channel.take("start")
    rank, size = int(start["rank"]), int(start["size"])
    # Over a second of imports: within a phase of its own, and where a failure is reported.
    import mlx.core as mx

    if mx.default_device().type == mx.DeviceType.cpu:
        # On a CPU compiled functions call g++ at first use, or race for its cache, and are not faster for it.
        mx.disable_compile()
    if rank:  # no text comes to it
        from .lean import import_mlx_lm

        import_mlx_lm()
    import mlx_lm

    from .dequantise import blas
    from .follower import Follower
    from .leader import Leader
    from .stage import Stage, on_gpu, working_set
    from .tensor import Chain, First, Head, Member, Place, shard
    from .tokens import Tokens

    channel.every = float(start.get("beat") or channel.every)
    channel.emit(
        "hello",
        pid=os.getpid(),
        python=platform.python_version(),
        mlx=version("mlx"),
        mlx_lm=mlx_lm.__version__,
        compute="gpu" if on_gpu() else "cpu",
        memory_limit=working_set(),
        fast_synch=_fast_synch(),
    )
    channel.phase("environment", 1, 1)
    if not 0 <= rank < size:
        raise ControlError(f"rank {rank} of {size}")
    if start.get("mode") == "laps":
        from . import laps

        wire, _ = _connect(channel, start, None)
        if wire is not None:
            laps.serve(channel, wire, rank)
        return
    model = Path(start["model"]).expanduser()

    mode = start.get("mode", "pipeline")
    if mode not in ("pipeline", "tensor"):
        raise ControlError(f"no such mode: {mode!r}")
    groups = [int(one) for one in start.get("groups") or [size]] if mode == "tensor" else [1] * size
    if sum(groups) != size or min(groups) < 1:
        raise ControlError(f"groups of {groups} ranks, for {size}")
    place = Place(groups, rank)
    tensor = mode == "tensor" and size > 1
    wire, group = _connect(channel, start, place if tensor else None)

    began = time.monotonic()
    channel.phase("load", 0, 1)
    first, last = int(start["start"]), int(start["end"])
    memory = int(start.get("room") or 0)
    divide = partial(shard, group=group) if group is not None else None
    stage = Stage(
        model,
        first,
        last,
        lambda done, total: channel.phase("load", done, total),
        memory,
        divide,
        int(start.get("kv_bits") or 0),
        bool(start.get("wired", True)),
    )
    if (stage.first, stage.last) != (place.first, place.last):
        raise ControlError(f"layers {first} to {last} are not for rank {rank} of {size}")
    tokens = Tokens(model) if rank == 0 else None
    channel.emit(
        "loaded",
        start=first,
        end=last,
        weights=stage.weights,
        digest=stage.digest,
        part=0 if group is None else group.rank(),
        parts=1 if group is None else group.size(),
        seconds=round(time.monotonic() - began, 3),
        peak=mx.get_peak_memory(),
        blas=blas(),
        **asdict(stage.choice),
    )
    stage.warm_up(lambda done, total: channel.phase("warmup", done, total))
    channel.beat()  # with all it holds: an answer can be shorter than the time between two beats
    channel.phase("ready", 1, 1)
    channel.now("idle")

    if tensor:
        assert wire is not None
        chain = Chain(wire, place)
        if tokens is not None:
            First(channel, stage, chain, tokens, start).serve()
        kind = Head if place.leads else Member
        kind(channel, stage, chain, rank - 1).serve()
    elif tokens is not None:
        Leader(channel, stage, wire, tokens, start).serve()
    else:
        assert wire is not None  # rank > 0 has neighbours
        Follower(channel, stage, wire, rank - 1).serve()


def _connect(
    channel: Channel, start: dict[str, Any], place: Place | None
) -> tuple[Wire | None, mx.distributed.Group | None]:
    """Listen, learn where the others do, and join both neighbours; None for a rank alone.

    `place` in a tensor plan: then also the ranks that share this one's layers, if it has not all of them.
    """
    rank, size, address = int(start["rank"]), int(start["size"]), str(start["address"])
    channel.phase("connect", 0, 2)
    backend = start["backend"]
    group = None
    if place is not None:
        from .sockets import Listener, Sockets
        from .tensor import join

        if backend not in MEETINGS:
            raise ControlError(f"tensor plans need a group of MLX's, not {backend!r}")
        listener = Listener(address)
        channel.emit("listening", address=address, port=listener.port)
        peers, token = _peers(channel, size)
        wire: Wire | None = Sockets(listener, rank, peers, token)
        group = join(wire, place, [str(one) for one in start["rings"]], start.get("rdma"))
    elif backend in MEETINGS:
        from . import jaccl, ring

        channel.emit("listening", address=address, port=ring.free_port(address))
        peers, _ = _peers(channel, size)
        wire = None
        if size > 1:
            rdma = start.get("rdma")
            met = ring.meet(rank, peers) if rdma is None else jaccl.meet(rank, peers[0], **rdma)
            wire = ring.Ring(rank, met)
    elif backend == "sockets":
        from .sockets import Listener, Sockets

        listener = Listener(address)
        channel.emit("listening", address=address, port=listener.port)
        peers, token = _peers(channel, size)
        wire = Sockets(listener, rank, peers, token) if size > 1 else None
        listener.close()
    else:
        raise ControlError(f"no such backend: {backend!r}")
    channel.phase("connect", 2, 2)
    return wire, group


def _peers(channel: Channel, size: int) -> tuple[list[tuple[str, int]], bytes]:
    """Every rank's address and port, by rank, and the launch token."""
    connect = channel.take("connect")
    peers = [(str(address), int(port)) for address, port in connect["peers"]]
    if len(peers) != size:
        raise ControlError(f"{len(peers)} peers for {size} ranks")
    channel.phase("connect", 1, 2)
    return peers, bytes.fromhex(connect["token"])


def _fast_synch() -> bool | None:
    """How MLX_METAL_FAST_SYNCH is set for this process."""
    said = os.environ.get("MLX_METAL_FAST_SYNCH")
    return None if said is None else said.strip() not in ("", "0")


def _refuses(error: Exception) -> bool:
    """Whether another try would end in the same way."""
    layers = sys.modules.get(f"{__package__}.layers")  # not where mlx itself could not be imported
    return layers is not None and isinstance(error, layers.Refused)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, ControlError) else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)

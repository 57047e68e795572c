"""What a rank needs of its device's memory."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from core.models.spec import ModelSpec
from core.plan.chips import CONSTANTS, chip
from core.plan.plan import Footprint, Host, Plan, Stage

RUNTIME = 160 * 2**20
"""Bytes a rank takes before it holds a tensor. Measured: mlx_lm imported in Python 3.11 is 78 MB
resident, 80 to 120 MB with its first buffers; the rest is head-room for the process."""

CHUNK = 128
"""Tokens of a prefill chunk, which bounds the workspace. Smaller chunks overlap better across stages."""

HEADROOM = 0.03
"""Share of a device's limit that is left alone: samples are a second old, and other programs grow."""

MOST = 32
"""Requests answered at a time at most: as many as mlx_lm's own server decodes together."""
UNCOUNTED = 8
"""The same of a model with layers that keep a state in place of keys and values: its size is not known."""
BLOCK = 256
"""Tokens by which mlx_lm's caches grow, however few are needed."""
LENT = 0.75
"""Share of what a plan leaves free that the caches of further requests may take."""
DEQUANTISED = 0.75
"""Share of the room for weights that float32 ones take at most (core.worker.dequantise)."""


def usable(host: Host) -> int:
    """Bytes a rank may take on a device."""
    return max(0, int(host.memory_limit * (1 - HEADROOM)) - host.memory_used)


def runtime(host: Host) -> int:
    """Bytes of a rank before its first tensor; more where Metal has buffers of its own."""
    return int(CONSTANTS.runtime_bytes) if chip(host.chip).known else RUNTIME


def weights(spec: ModelSpec, start: int, end: int, t: int = 1) -> int:
    """Bytes of weights one of `t` members holds of the layers `[start, end)`, with the embedding if they
    are the first and the head if they are the last; neither is shared out."""
    held = -(-sum(spec.layer_bytes[start:end]) // t)
    first, last = start == 0, end == spec.layers
    if first:
        held += spec.embed_bytes
    # A tied head is the embedding; the last rank needs its own copy unless it is the first as well.
    if last and not (spec.tied and first):
        held += head(spec)
    return held


def head(spec: ModelSpec) -> int:
    """Bytes of the output projection, which is the embedding again where they are tied."""
    return spec.embed_bytes if spec.tied else spec.head_bytes


def cache(spec: ModelSpec, start: int, end: int, context: int, t: int = 1) -> int:
    """Bytes of KV cache for `context` tokens; a sliding window holds no more than itself."""
    held = sum(spec.kv_bytes[i] * min(context, spec.windows[i] or context) for i in range(start, end))
    return held if spec.latent else -(-held // t)


def blocks(tokens: int) -> int:
    """Tokens that the cache of a request of so many has room for, and takes memory for."""
    return -(-tokens // BLOCK) * BLOCK


def workspace(spec: ModelSpec, context: int) -> int:
    """Bytes of float32 activations of one prefill chunk: hidden states some sixteen times over, the scores
    of unfused attention (MLX on CPU makes them whole), and the logits of one token."""
    return 16 * 4 * CHUNK * spec.hidden + 4 * CHUNK * context * spec.heads + 4 * spec.vocabulary


def footprint(spec: ModelSpec, stage: Stage, host: Host, context: int) -> Footprint:
    """What the stage's rank on `host` takes."""
    t = len(stage.devices)
    return Footprint(
        weights=weights(spec, stage.start, stage.end, t),
        cache=cache(spec, stage.start, stage.end, context, t),
        workspace=workspace(spec, context),
        runtime=runtime(host),
        usable=usable(host),
    )


def room(spec: ModelSpec, plan: Plan, hosts: Iterable[Host]) -> dict[str, int]:
    """Bytes that weights may take, by device, of a plan whose caches and workspaces are there as well."""
    known = {host.id: host for host in hosts}
    taken = {
        device: footprint(spec, stage, known[device], plan.context)
        for stage in plan.stages
        for device in stage.devices
        if device in known
    }
    return {device: max(0, one.usable - one.needed + one.weights) for device, one in taken.items()}


def crowded(spec: ModelSpec, plan: Plan, hosts: Iterable[Host], *, dequantised: bool = False) -> Plan:
    """The plan with as many requests and tokens as its devices have memory for: one request of the whole
    context, and what is free besides. `dequantised`: weights may become float32 on a CPU, and come first."""
    known = {host.id: host for host in hosts}
    ranks = [(stage, known.get(name)) for stage in plan.stages for name in stage.devices]

    def fits(requests: int, tokens: int) -> bool:
        return all(
            host is not None
            and _taken(spec, stage, host, requests, tokens, plan.context)
            <= _lent(
                footprint(spec, stage, host, plan.context), dequantised=dequantised and _lifted(spec, host)
            )
            for stage, host in ranks
        )

    most = MOST if all(spec.kv_bytes) else UNCOUNTED
    requests = next((count for count in range(most, 1, -1) if fits(count, plan.context)), 1)
    low, high = plan.context, requests * blocks(plan.context) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(requests, middle) else (low, middle)
    return replace(plan, requests=requests, tokens=low)


def _lent(taken: Footprint, *, dequantised: bool) -> int:
    """Bytes for caches where a plan takes this: those of its one context, and most of what is free."""
    free = taken.free
    if dequantised:
        free = min(free, int((1 - DEQUANTISED) * (free + taken.weights)))
    return taken.cache + int(LENT * max(0, free))


def _lifted(spec: ModelSpec, host: Host) -> bool:
    """Whether the model computes in float32 there: on a CPU a quantised one does."""
    return bool(spec.quantization) and not chip(host.chip).known


def _taken(spec: ModelSpec, stage: Stage, host: Host, requests: int, tokens: int, context: int) -> int:
    """Bytes that the caches of requests with so many tokens in all take, and the logits of each but one."""
    # While the caches of several are put together or grow, those of one layer are there twice.
    taken = sum(_cached(spec, stage, requests, tokens)) + max(
        _cached(spec, stage, requests, tokens - context)
    )
    if _lifted(spec, host):
        taken = taken * 4 // spec.width
    share = 1 if spec.latent else len(stage.devices)
    return taken // share + (requests - 1) * 4 * 4 * spec.vocabulary


def _cached(spec: ModelSpec, stage: Stage, requests: int, tokens: int) -> list[int]:
    """Bytes of KV cache in each layer of the stage."""
    kept = [requests * (window + CHUNK) if window else tokens for window in spec.windows]
    return [spec.kv_bytes[i] * min(tokens, kept[i]) for i in range(stage.start, stage.end)]

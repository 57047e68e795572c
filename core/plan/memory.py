"""What a rank needs of its device's memory."""

from __future__ import annotations

from collections.abc import Iterable

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

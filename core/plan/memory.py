"""What a stage needs of its device's memory."""

from __future__ import annotations

from core.models.spec import ModelSpec
from core.plan.plan import Host, Plan

RUNTIME = 160 * 2**20
"""Bytes a rank takes before it holds a tensor. Measured: mlx_lm imported in Python 3.11 is 78 MB
resident, 80 to 120 MB with its first buffers; the rest is head-room for the process."""

CHUNK = 128
"""Tokens of a prefill chunk, which bounds the workspace. Smaller chunks overlap better across stages."""


def free(host: Host) -> int:
    """Bytes ranks may still take on a device."""
    return max(0, host.memory_limit - host.memory_used)


def weights(spec: ModelSpec, plan: Plan, rank: int) -> int:
    """Bytes of weights the rank holds: its layers, the embedding on the first, the head on the last."""
    stage = plan.stages[rank]
    held = sum(spec.layer_bytes[stage.start : stage.end])
    first, last = rank == 0, rank == len(plan.stages) - 1
    if first:
        held += spec.embed_bytes
    # A tied head is the embedding; the last rank needs its own copy unless it is the first as well.
    if last and not (spec.tied and first):
        held += spec.embed_bytes if spec.tied else spec.head_bytes
    return held


def cache(spec: ModelSpec, plan: Plan, rank: int) -> int:
    """Bytes of KV cache for the plan's context; a sliding window holds no more than itself."""
    stage = plan.stages[rank]
    return sum(
        spec.kv_bytes[i] * min(plan.context, spec.windows[i] or plan.context)
        for i in range(stage.start, stage.end)
    )


def workspace(spec: ModelSpec, plan: Plan, rank: int) -> int:
    """Bytes of float32 activations of one prefill chunk: hidden states some sixteen times over, the scores
    of unfused attention (MLX on CPU makes them whole), and on the last rank the logits of one token."""
    logits = 4 * spec.vocabulary if rank == len(plan.stages) - 1 else 0
    return 16 * 4 * CHUNK * spec.hidden + 4 * CHUNK * plan.context * spec.heads + logits


def needed(spec: ModelSpec, plan: Plan, rank: int) -> int:
    """Bytes the rank will take in all."""
    return RUNTIME + weights(spec, plan, rank) + cache(spec, plan, rank) + workspace(spec, plan, rank)

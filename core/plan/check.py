"""Is a plan legal, and do the ranks hold what it says?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from core.models.spec import ModelSpec
from core.plan.memory import footprint
from core.plan.plan import Host, Plan, PlanError, Stage
from core.plan.shares import indivisible
from core.text import size


class Held(msgspec.Struct, frozen=True):
    """What one rank says it loaded."""

    rank: int
    device: str
    start: int
    end: int
    digest: str
    part: int = 0
    parts: int = 1
    """Of every one of its layers it holds share `part` of `parts`."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that every layer is held exactly once, by one rank or in shares by the ranks of one group: hashes
    of the plan and of the ranks' own reports."""

    layers: int
    held: tuple[Held, ...]
    plan_sha256: str
    held_sha256: str


def unlike(versions: Mapping[str, tuple[str, str]]) -> str:
    """Who has which mlx and mlx-lm, where these are not all the same; empty where they are.

    Ranks of other versions compute other bits, or do not understand one another. By device or rank.
    """
    groups: dict[tuple[str, str], str] = {}
    for name, pair in versions.items():
        groups.setdefault(pair, name)
    if len(groups) < 2:
        return ""
    told = " and ".join(f"{name} has mlx {mlx} with mlx-lm {lm}" for (mlx, lm), name in groups.items())
    return f"{told}; all need the same (P in the console installs this computer's)"


def _sha256(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()


def check_cover(ranges: Sequence[tuple[int, int]], layers: int) -> None:
    """Raise PlanError unless the ranges, in order, cover `[0, layers)`: no gap, overlap or empty range."""
    expected = 0
    for rank, (start, end) in enumerate(ranges):
        if start != expected:
            word = "held twice" if start < expected else "held by nobody"
            low, high = sorted((start, expected))
            raise PlanError(f"layers {low} to {high - 1} are {word} (rank {rank} starts at {start})")
        if end <= start:
            raise PlanError(f"rank {rank} holds no layer; every rank needs at least one")
        expected = end
    if expected != layers:
        what = "are held by nobody" if expected < layers else "do not exist"
        low, high = sorted((expected, layers))
        raise PlanError(f"layers {low} to {high - 1} {what}; the model has {layers}")


def problems(
    spec: ModelSpec, hosts: Mapping[str, Host], devices: Mapping[str, str], plan: Plan
) -> tuple[str, ...]:
    """What keeps a plan from being launched, the most telling first; empty where nothing does.

    `devices`: what keeps each device out of any plan, empty where nothing does.
    """
    found: list[str] = []
    if (plan.model, plan.layers) != (spec.name, spec.layers):
        found.append(f"this plan is for {plan.model} of {plan.layers} layers")
    try:
        check_cover([(stage.start, stage.end) for stage in plan.stages], plan.layers)
    except PlanError as error:
        found.append(str(error))
    if found:
        return tuple(found)
    for stage in plan.stages:
        for name in stage.devices:
            if reason := devices.get(name, "is not in the cluster"):
                found.append(f"{name} {reason}")
    found += misplaced(spec, plan.stages)
    found += [line for stage in plan.stages for line in _short(spec, hosts, stage, plan.context)]
    found += _ungroupable(spec, plan.stages)
    return tuple(found)


def misplaced(spec: ModelSpec, stages: Sequence[Stage]) -> list[str]:
    """Which of the stages cannot begin where they do, and why."""
    return [
        f"{spec.name} ({spec.family}) cannot be cut before layer {stage.start}: {why}"
        for stage in stages[1:]
        if (why := spec.uncut(stage.start))
    ]


def _short(spec: ModelSpec, hosts: Mapping[str, Host], stage: Stage, context: int) -> list[str]:
    """Whose memory is short of what the stage takes there."""
    count = "1 layer" if stage.layers == 1 else f"{stage.layers} layers"
    free = {
        name: footprint(spec, stage, hosts[name], context).free for name in stage.devices if name in hosts
    }
    return [f"{name} is {size(-left)} short of memory for {count}" for name, left in free.items() if left < 0]


def _ungroupable(spec: ModelSpec, stages: Sequence[Stage]) -> list[str]:
    """Why tensor groups among the stages cannot be."""
    kv_heads = 0 if spec.latent else spec.kv_heads
    sizes = [len(stage.devices) for stage in stages if stage.members]
    refusals = [
        spec.unshared.get(size) or indivisible(spec.heads, kv_heads, spec.hidden, size) for size in sizes
    ]
    return [refusal for refusal in refusals if refusal]


def certify(plan: Plan, held: Sequence[Held]) -> Certificate:
    """The certificate of a loaded plan.

    Raises PlanError when a rank is missing, holds other layers than planned or another share of them, or a
    layer is not held exactly once.
    """
    by_rank = {report.rank: report for report in held}
    posts = plan.posts
    for rank, post in enumerate(posts):
        report = by_rank.get(rank)
        if report is None:
            raise PlanError(f"rank {rank} on {post.device} has not said what it holds")
        if (report.start, report.end) != (post.start, post.end):
            raise PlanError(
                f"rank {rank} on {post.device} holds layers {report.start} to {report.end - 1}, "
                f"planned were {post.start} to {post.end - 1}"
            )
        if (report.part, report.parts) != (post.part, post.parts):
            raise PlanError(
                f"rank {rank} on {post.device} holds {_share(report.part, report.parts)} of its layers, "
                f"planned was {_share(post.part, post.parts)}"
            )
    ordered = tuple(by_rank[rank] for rank in range(len(posts)))
    check_cover([(report.start, report.end) for report in ordered if report.part == 0], plan.layers)
    return Certificate(
        layers=plan.layers, held=ordered, plan_sha256=_sha256(plan.stages), held_sha256=_sha256(ordered)
    )


def _share(part: int, parts: int) -> str:
    return "the whole" if parts == 1 else f"part {part + 1} of {parts}"

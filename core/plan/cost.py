"""What a plan costs: the time and memory of every stage, as tables a solver can search.

The model, in SI units. `n` new tokens are processed for `s` sequences at context `x`; a stage is a
device (t = 1) or a tensor group of t. Decoding is bound by memory bandwidth, prefill by compute:

    W       = repl + (dense + experts·(1 − (1 − top_k/n_experts)^n)) / t          weight bytes read
    KV      = s·(kv_bytes·kv_read_scale·x/t + state/t)                            cache bytes read
    F       = n·(flops + attn_flops·x) / t
    layer   = max((W/eta_bw + KV/eta_kv) / bandwidth, F/(eta_flops·peak)) + overhead·scale
    group   = max over members + 2 all-reduces of n·hidden·act_bytes
    hop     = sync + max over receivers of min over senders of (latency + bytes/bandwidth)
    head    = max(head_bytes/(eta_bw·bandwidth), s·head_flops_per_byte·head_bytes/(eta_flops·peak))

with x cut to a layer's window, KV not divided by t for latent attention, and bandwidth and peak less
the device's load. The all-reduces are MLX's: over RDMA a mesh, in one phase for two ranks or up to
32 KiB (mlx/distributed/jaccl/lib/jaccl/mesh.cpp), over TCP a ring (mlx/distributed/ring/ring.cpp).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.plan.fabric import Fabric, Floats, legal_groups
from core.plan.problem import Problem, Span

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MOST_GROUPS = 600
"""Tensor groups considered as pipeline stages; beyond, the fastest so many."""
TOKEN_BYTES = 4
"""What the last stage sends back to the first, per sequence."""


@dataclass(frozen=True)
class Work:
    """What is computed at once: `tokens` new ones of `sequences`, at `context` tokens each."""

    tokens: float
    sequences: float
    context: float


class Layers:
    """A model's layers as columns, one value a layer."""

    def __init__(self, problem: Problem) -> None:
        runs = problem.model.layers
        counts = [run.count for run in runs]

        def column(values: Sequence[float]) -> Floats:
            return np.repeat(np.asarray(values, dtype=np.float64), counts)

        self.dense = column([run.dense_bytes for run in runs])
        self.experts = column([run.expert_bytes for run in runs])
        self.routed = column([run.top_k / run.n_experts if run.n_experts else 0.0 for run in runs])
        self.replicated = column([run.repl_bytes for run in runs])
        self.kv = column([run.kv_bytes for run in runs])
        self.kv_read = column([run.kv_bytes * run.kv_read_scale for run in runs])
        self.window = column([np.inf if run.window is None else run.window for run in runs])
        self.state = column([run.state_bytes for run in runs])
        self.flops = column([run.flops for run in runs])
        self.attention = column([run.attn_flops for run in runs])
        self.overhead = column([run.overhead for run in runs])

    def weights(self, t: int) -> Floats:
        """Bytes of each layer that one of `t` members holds."""
        return self.replicated + (self.dense + self.experts) / t

    def cache(self, t: int, sequences: float, context: float, *, shardable: bool) -> Floats:
        """Bytes of cache each layer keeps on one of `t` members."""
        kv = self.kv * np.minimum(context, self.window) / (t if shardable else 1)
        return sequences * (kv + self.state / t)


def cumulative(values: Floats) -> Floats:
    """Sums of the first 0, 1, …, L values along the last axis, so that `[k, j)` costs `c[j] - c[k]`."""
    return np.concatenate((np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)), axis=-1)


def works(problem: Problem) -> list[tuple[int, Work]]:
    """What one step computes, by how often it repeats: prefill chunks, or each number of micro-batches."""
    request = problem.request
    match request.objective:
        case "decode":
            return [(1, Work(1, 1, request.context))]
        case "prefill":
            chunks = int(np.ceil(request.prompt / request.chunk))
            return [(chunks, Work(request.prompt / chunks, 1, request.prompt / 2))]
        case "throughput":
            batch = request.batch
            return [
                (m, Work(batch / m, batch / m, request.context))
                for m in sorted(set(request.microbatches))
                if m <= batch
            ]


def _first_at_least(ascending: Floats, values: Floats) -> Ints:
    """For each value the first place in `ascending` that is not below it."""
    return np.asarray(np.searchsorted(ascending, values), dtype=np.int64)  # pyright: ignore[reportUnknownMemberType]


class Costs:
    """Tables of one problem and one kind of step. G groups (devices first, in order), L layers.

    `time[g, j]` is seconds of the layers before j on g, so a stage `[k, j)` takes `time[g, j] - time[g, k]`,
    plus `head[g]` on the last stage. `hop[f, g]` and `back[f, g]` are seconds from group f to g, infinite
    without a link or when they share a device. `bits[g]` is the set of devices of g. `open[j]` tells whether
    a stage can end before layer j.
    """

    def __init__(self, problem: Problem, work: Work, groups: Sequence[tuple[int, ...]] | None = None) -> None:
        self.problem = problem
        self.work = work
        self.depth = problem.model.depth
        self.open = np.array([j not in problem.model.uncut for j in range(self.depth + 1)], dtype=bool)
        self.fabric = Fabric(problem)
        self.layers = Layers(problem)
        if groups is None:
            groups = legal_groups(problem, self.fabric)
        self.groups = list(groups)
        self.bits: Ints = np.array([sum(1 << d for d in group) for group in self.groups], dtype=np.int64)
        self.time = self._times()
        if problem.caps.hybrid and len(self.groups) > len(problem.devices) + MOST_GROUPS:
            self._keep_fastest()
        self._memory()
        self._network()

    def _keep_fastest(self) -> None:
        n = len(self.problem.devices)
        order = np.argsort(self.time[n:, -1], kind="stable")[:MOST_GROUPS]
        kept = [*range(n), *sorted((order + n).tolist())]
        self.groups = [self.groups[i] for i in kept]
        self.bits, self.time = self.bits[kept], self.time[kept]

    @property
    def speed(self) -> tuple[Floats, Floats, Floats]:
        """Per device: bytes/s, FLOP/s and weight efficiency, less load."""
        free = np.array([1 - device.load for device in self.problem.devices])
        bandwidth = np.array([device.bw for device in self.problem.devices]) * free
        peak = np.array([device.flops for device in self.problem.devices]) * free
        eta = self.problem.constants.eta_bw
        return bandwidth, peak, np.array([device.eta_bw or eta for device in self.problem.devices])

    def parts(self, t: int) -> tuple[Floats, Floats, Floats, Floats]:
        """Seconds each layer takes on each device as one of `t`, `[device, layer]`: to read weights, to read
        the cache, to compute, to launch kernels. Reading and computing overlap, the longer counts."""
        layers, work, constants = self.layers, self.work, self.problem.constants
        context = np.minimum(work.context, layers.window)
        touched = 1 - (1 - layers.routed) ** work.tokens
        weights = layers.replicated + (layers.dense + layers.experts * touched) / t
        share = t if self.problem.model.kv_shardable else 1
        cache = work.sequences * (layers.kv_read * context / share + layers.state / t)
        flops = work.tokens * (layers.flops + layers.attention * context) / t
        bandwidth, peak, eta_bw = self.speed
        scale = np.array([device.overhead_scale for device in self.problem.devices])
        return (
            weights / (eta_bw * bandwidth)[:, None],
            cache / (constants.eta_kv * bandwidth)[:, None],
            flops / (constants.eta_flops * peak)[:, None],
            layers.overhead * scale[:, None],
        )

    def _times(self) -> Floats:
        model, work = self.problem.model, self.work
        size = work.tokens * model.hidden * model.act_bytes
        layer: dict[int, Floats] = {}
        rows: list[Floats] = []
        for group in self.groups:
            t = len(group)
            if t not in layer:
                weights, cache, compute, launch = self.parts(t)
                layer[t] = np.maximum(weights + cache, compute) + launch
            slowest = layer[t][list(group)].max(axis=0)
            reduce = 2 * self.fabric.all_reduce(group, size, self.problem.constants.rdma_fan) if t > 1 else 0
            rows.append(slowest + reduce)
        bandwidth, peak, eta_bw = self.speed
        head, constants = model.head_bytes, self.problem.constants
        heads = np.maximum(
            head / (bandwidth * eta_bw),
            work.sequences * constants.head_flops_per_byte * head / (peak * constants.eta_flops),
        )
        self.head: Floats = np.array([heads[list(group)].max() for group in self.groups])
        return cumulative(np.array(rows))

    def _memory(self) -> None:
        """`held[t]`: cumulative bytes a member holds; `room[g]`: what its smallest member has for them."""
        problem, request = self.problem, self.problem.request
        sequences = request.batch if request.objective == "throughput" else 1
        context = request.context
        if request.objective == "prefill":
            context = max(request.prompt, context)
        shardable = problem.model.kv_shardable
        self.held: dict[int, Floats] = {
            t: cumulative(
                self.layers.weights(t) + self.layers.cache(t, sequences, context, shardable=shardable)
            )
            for t in {len(group) for group in self.groups}
        }
        memory = np.array([device.mem for device in problem.devices]) - problem.constants.runtime_bytes
        self.room: Floats = np.array([memory[list(group)].min() for group in self.groups])

    def _network(self) -> None:
        model, work = self.problem.model, self.work
        sync = self.problem.constants.sync
        hop = self.fabric.send(work.tokens * model.hidden * model.act_bytes)
        back = self.fabric.send(work.sequences * TOKEN_BYTES)
        self.hop = sync + self._between(hop)
        self.back = sync + self._between(back)

    def _between(self, send: Floats) -> Floats:
        """From group to group: the last receiver is served by its nearest sender."""
        count = len(self.groups)
        if count == len(self.problem.devices):
            between = send.copy()
            np.fill_diagonal(between, np.inf)
            return between
        nearest = np.array([send[list(group)].min(axis=0) for group in self.groups])
        between = np.array([nearest[:, list(group)].max(axis=1) for group in self.groups]).T
        between[(self.bits[:, None] & self.bits[None, :]) != 0] = np.inf
        return between

    def extra(self, *, first: bool, last: bool) -> float:
        """Bytes the first and the last stage hold besides layers."""
        model = self.problem.model
        if first and last and model.tied:
            return max(model.embed_bytes, model.head_bytes)
        return first * model.embed_bytes + last * model.head_bytes

    def need(self, group: int, start: int, end: int) -> float:
        """Bytes a member of the stage takes in all."""
        held = self.held[len(self.groups[group])]
        ends = self.extra(first=start == 0, last=end == self.depth)
        return float(held[end] - held[start] + ends) + self.problem.constants.runtime_bytes

    def starts(self, group: int, limit: float, spare: float, *, first: bool, last: bool) -> Ints:
        """For each end j the smallest k for which `[k, j)` leaves `spare` bytes free and takes at most
        `limit` seconds; above j where not even an empty stage does."""
        held = self.held[len(self.groups[group])]
        room = self.room[group] - spare - self.extra(first=first, last=last)
        # One part in 1e12 is what sums of floats may differ by; equality is allowed.
        low = _first_at_least(held, held - room - 1e-12 * held[-1])
        if not np.isfinite(limit):
            return low
        time = self.time[group]
        return np.maximum(low, _first_at_least(time, time - limit))

    @cached_property
    def index(self) -> dict[tuple[str, ...], int]:
        """Number of each group by its sorted device names."""
        names = [device.id for device in self.problem.devices]
        return {tuple(sorted(names[d] for d in group)): i for i, group in enumerate(self.groups)}

    def names(self, group: int) -> tuple[str, ...]:
        """Devices of a group."""
        return tuple(self.problem.devices[d].id for d in self.groups[group])

    def spans(self, sequence: Sequence[int], cuts: Sequence[int]) -> tuple[Span, ...]:
        """The stages of groups in order, `cuts[i]` to `cuts[i + 1]` each."""
        return tuple(Span(self.names(g), cuts[i], cuts[i + 1]) for i, g in enumerate(sequence))

    def stage_times(self, sequence: Sequence[int], cuts: Sequence[int]) -> list[float]:
        """Seconds of each stage, the last with the head."""
        times = [float(self.time[g, cuts[i + 1]] - self.time[g, cuts[i]]) for i, g in enumerate(sequence)]
        times[-1] += float(self.head[sequence[-1]])
        return times

    def hop_times(self, sequence: Sequence[int]) -> list[float]:
        """Seconds of each hand-over, the last from the last stage back to the first; none for one stage."""
        if len(sequence) == 1:
            return []
        forward = [float(self.hop[f, g]) for f, g in pairwise(sequence)]
        return [*forward, float(self.back[sequence[-1], sequence[0]])]

    def total(self, sequence: Sequence[int], cuts: Sequence[int]) -> float:
        """Seconds for one step to pass all stages."""
        times = sum(self.stage_times(sequence, cuts)) + sum(self.hop_times(sequence))
        return times + self.problem.constants.token_overhead

    def bottleneck(self, sequence: Sequence[int], cuts: Sequence[int]) -> float:
        """Seconds of the slowest stage or forward hand-over, which paces steps that overlap. The head and
        the way back do not count, as `exo-plan/1` defines it."""
        stages = [float(self.time[g, cuts[i + 1]] - self.time[g, cuts[i]]) for i, g in enumerate(sequence)]
        return max([*stages, *self.hop_times(sequence)[:-1]])

    def fits(self, sequence: Sequence[int], cuts: Sequence[int]) -> bool:
        """Whether every stage holds at least a layer, can end where it does and fits its memory."""
        return all(
            cuts[i] < cuts[i + 1]
            and self.open[cuts[i + 1]]
            and self.need(g, cuts[i], cuts[i + 1])
            <= (self.room[g] + self.problem.constants.runtime_bytes) * (1 + 1e-12)
            for i, g in enumerate(sequence)
        )


def value(problem: Problem, repeats: int, total: float, bottleneck: float) -> float:
    """The objective, to be made small: seconds a token, seconds to the first token, seconds a batch."""
    match problem.request.objective:
        case "decode":
            return total
        case "prefill":
            return total + (repeats - 1) * bottleneck
        case "throughput":
            return max(total, repeats * bottleneck)

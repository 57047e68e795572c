"""Small random problems, solved by trying every plan: written from the formulas, not from the planner."""

from __future__ import annotations

from itertools import combinations, pairwise, permutations
from math import ceil, inf

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.plan.problem import (
    Caps,
    Constants,
    Device,
    LayerRun,
    Link,
    Model,
    Objective,
    Problem,
    Request,
)
from core.plan.solve import NoPlan, solve

CONSTANTS = Constants(
    eta_bw=0.8, eta_kv=0.4, eta_flops=0.7, sync=6e-4, token_overhead=1e-4, rdma_fan=0.3,
    runtime_bytes=1e9, head_flops_per_byte=3.5,
)  # fmt: skip
GIB = 2.0**30


class Exhaustion:
    """Every order of disjoint groups, every way to cut the layers."""

    def __init__(self, problem: Problem) -> None:
        self.p = problem
        self.layers = [run for run in problem.model.layers for _ in range(run.count)]
        self.device = {d.id: d for d in problem.devices}
        self.wire: dict[tuple[str, str], Link] = {}
        for path in problem.links:
            for pair in [(path.a, path.b)] + ([] if path.directed else [(path.b, path.a)]):
                if pair not in self.wire or path.lat < self.wire[pair].lat:
                    self.wire[pair] = path

    def groups(self) -> list[tuple[str, ...]]:
        m, caps = self.p.model, self.p.caps
        found: list[tuple[str, ...]] = [(d,) for d in self.device]
        for t in caps.tp_sizes if caps.tensor else ():
            if m.n_heads % t or m.hidden % t or (m.kv_shardable and m.n_kv_heads % t):
                continue
            for group in combinations(self.device, t):
                wires = [self.wire.get(pair) for pair in permutations(group, 2)]
                if all(w and (w.rdma or not caps.tp_needs_rdma) for w in wires):
                    found.append(group)
        return found

    def layer(self, run: LayerRun, d: Device, t: int, n: float, s: float, x: float) -> float:
        c = self.p.constants
        xi = x if run.window is None else min(x, run.window)
        share = 1 - (1 - run.top_k / run.n_experts) ** n if run.n_experts else 0.0
        read = run.repl_bytes + (run.dense_bytes + run.expert_bytes * share) / t
        tk = t if self.p.model.kv_shardable else 1
        kv = s * (run.kv_bytes * run.kv_read_scale * xi / tk + run.state_bytes / t)
        flops = n * (run.flops + run.attn_flops * xi) / t
        free = 1 - d.load
        return (
            max((read / c.eta_bw + kv / c.eta_kv) / (d.bw * free), flops / (d.flops * c.eta_flops * free))
            + run.overhead * d.overhead_scale
        )

    def reduce(self, group: tuple[str, ...], size: float) -> float:
        wires = [self.wire[pair] for pair in permutations(group, 2)]
        lat, bw, t = max(w.lat for w in wires), min(w.bw for w in wires), len(group)
        if all(w.rdma for w in wires):
            once = size / bw if t == 2 or size <= 32768 else 2 * size / (t * bw)
            return lat * (1 + self.p.constants.rdma_fan * (t - 2)) + once
        return 2 * (t - 1) * (lat + size / (t * bw))

    def hop(self, f: tuple[str, ...], g: tuple[str, ...], size: float) -> float:
        def send(a: str, b: str) -> float:
            wire = self.wire.get((a, b))
            return inf if wire is None else wire.lat + size / wire.bw

        return self.p.constants.sync + max(min(send(a, b) for a in f) for b in g)

    def fits(self, group: tuple[str, ...], k: int, j: int) -> bool:
        m, r, t = self.p.model, self.p.request, len(group)
        context = max(r.prompt, r.context) if r.objective == "prefill" else r.context
        seqs = r.batch if r.objective == "throughput" else 1
        tk = t if m.kv_shardable else 1
        need = self.p.constants.runtime_bytes
        for run in self.layers[k:j]:
            xi = context if run.window is None else min(context, run.window)
            need += run.repl_bytes + (run.dense_bytes + run.expert_bytes) / t
            need += seqs * (run.kv_bytes * xi / tk + run.state_bytes / t)
        if m.tied and k == 0 and j == len(self.layers):
            need += max(m.embed_bytes, m.head_bytes)
        else:
            need += (m.embed_bytes if k == 0 else 0) + (m.head_bytes if j == len(self.layers) else 0)
        return all(need <= self.device[d].mem for d in group)

    def price(
        self, plan: list[tuple[tuple[str, ...], int, int]], n: float, s: float, x: float
    ) -> tuple[float, float]:
        m, c = self.p.model, self.p.constants
        size = n * m.hidden * m.act_bytes
        stages: list[float] = []
        for group, k, j in plan:
            t = len(group)
            each = 2 * self.reduce(group, size) if t > 1 else 0.0
            stages.append(
                sum(
                    max(self.layer(run, self.device[d], t, n, s, x) for d in group) + each
                    for run in self.layers[k:j]
                )
            )
        hops = [self.hop(a[0], b[0], size) for a, b in pairwise(plan)]
        back = self.hop(plan[-1][0], plan[0][0], s * 4) if len(plan) > 1 else 0.0
        head = max(
            max(
                m.head_bytes / (d.bw * c.eta_bw * (1 - d.load)),
                s * c.head_flops_per_byte * m.head_bytes / (d.flops * c.eta_flops * (1 - d.load)),
            )
            for d in (self.device[i] for i in plan[-1][0])
        )
        return sum(stages) + sum(hops) + back + head + c.token_overhead, max([*stages, *hops])

    def worth(self, plan: list[tuple[tuple[str, ...], int, int]]) -> float:
        r = self.p.request
        if r.objective == "decode":
            return self.price(plan, 1, 1, r.context)[0]
        if r.objective == "prefill":
            chunks = ceil(r.prompt / r.chunk)
            total, slowest = self.price(plan, r.prompt / chunks, 1, r.prompt / 2)
            return total + (chunks - 1) * slowest
        best = inf
        for m in r.microbatches:
            if m <= r.batch:
                total, slowest = self.price(plan, r.batch / m, r.batch / m, r.context)
                best = min(best, max(total, m * slowest))
        return best

    def best(self) -> float:
        depth, caps, best = len(self.layers), self.p.caps, inf
        groups = self.groups()
        for length in range(1, min(len(self.device), caps.max_stages or 99, depth) + 1):
            for order in permutations(groups, length):
                if len({d for g in order for d in g}) < sum(map(len, order)):
                    continue
                if length > 1 and not caps.hybrid and any(len(g) > 1 for g in order):
                    continue
                for inner in combinations(range(1, depth), length - 1):
                    cuts = (0, *inner, depth)
                    plan = [(g, cuts[i], cuts[i + 1]) for i, g in enumerate(order)]
                    if set(inner) & set(self.p.model.uncut):
                        continue
                    if all(self.fits(*stage) for stage in plan):
                        best = min(best, self.worth(plan))
        return best


@st.composite
def problems(draw: st.DrawFn, objective: Objective) -> Problem:
    def real(low: float, high: float) -> float:
        return draw(st.integers(0, 8)) / 8 * (high - low) + low

    runs: list[LayerRun] = []
    for _ in range(draw(st.integers(1, 3))):
        moe = draw(st.booleans())
        runs.append(
            LayerRun(
                count=draw(st.integers(1, 3)),
                dense_bytes=real(0.1, 2) * GIB,
                expert_bytes=real(0.5, 3) * GIB if moe else 0,
                n_experts=16 if moe else 0,
                top_k=draw(st.integers(1, 4)) if moe else 0,
                repl_bytes=draw(st.sampled_from([0.0, 1e8])),
                kv_bytes=draw(st.sampled_from([0.0, 4096.0, 65536.0])),
                kv_read_scale=draw(st.sampled_from([1.0, 1.8])),
                window=draw(st.sampled_from([None, 512.0])),
                state_bytes=draw(st.sampled_from([0.0, 1e6])),
                flops=real(1, 20) * 1e9,
                attn_flops=draw(st.sampled_from([0.0, 32768.0])),
                overhead=draw(st.sampled_from([3.6e-5, 9e-5])),
            )
        )
    n = draw(st.integers(1, 4))
    names = [f"d{i}" for i in range(n)]
    twins = draw(st.booleans())
    kind = [0 if twins else i for i in range(n)]
    drawn = [
        (real(2, 14) * GIB, draw(st.sampled_from([1e11, 2e11, 4e11, 8e11])), real(0, 0.5), real(1, 2))
        for _ in range(n)
    ]
    devices = [
        Device(id=name, mem=m, bw=bw, flops=bw * 40, load=load, overhead_scale=scale)
        for name, (m, bw, load, scale) in zip(names, (drawn[k] for k in kind), strict=True)
    ]
    links: list[Link] = []
    for a, b in combinations(names, 2):
        for _ in range(draw(st.sampled_from([1, 1, 1, 0, 2]))):
            rdma = draw(st.booleans())
            lat, bw = (2e-5, 7e9) if rdma else draw(st.sampled_from([(3e-4, 1e9), (6e-3, 6e7)]))
            directed = draw(st.sampled_from([False, False, False, True]))
            links.append(Link(a=a, b=b, lat=lat, bw=bw, rdma=rdma, directed=directed))
    hybrid = draw(st.booleans())
    return Problem(
        model=Model(
            hidden=draw(st.sampled_from([2048, 2050])),
            n_heads=16,
            n_kv_heads=draw(st.sampled_from([2, 5, 8])),
            kv_shardable=draw(st.booleans()),
            embed_bytes=real(0, 1) * GIB,
            head_bytes=real(0, 1) * GIB,
            tied=draw(st.booleans()),
            layers=tuple(runs),
            uncut=tuple(draw(st.sampled_from([(), (), (), (2, 3), (1, 4), (1, 2, 3, 4, 5, 6, 7, 8)]))),
        ),
        devices=tuple(devices),
        links=tuple(links),
        request=Request(
            objective=objective,
            context=draw(st.sampled_from([128.0, 8192.0])),
            prompt=draw(st.sampled_from([64.0, 1000.0, 9000.0])),
            chunk=draw(st.sampled_from([512.0, 2048.0])),
            batch=draw(st.sampled_from([1, 4, 8])),
            microbatches=(1, 2, 4),
        ),
        constants=CONSTANTS,
        caps=Caps(
            tensor=draw(st.booleans()),
            hybrid=hybrid,
            tp_needs_rdma=draw(st.booleans()),
            max_stages=draw(st.sampled_from([None, None, 2])),
        ),
    )


@pytest.mark.parametrize("objective", ["decode", "prefill", "throughput"])
@pytest.mark.timeout(600)
def test_no_plan_of_all_is_better(objective: Objective) -> None:
    feasible = 0

    @settings(
        max_examples=320, deadline=None, derandomize=True, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(problems(objective))
    def agree(problem: Problem) -> None:
        nonlocal feasible
        best = Exhaustion(problem).best()
        try:
            found = solve(problem)
        except NoPlan:
            assert best == inf
            return
        feasible += 1
        assert found.value == pytest.approx(best, rel=1e-9)
        assert found.gap == 0

    agree()
    assert feasible > 150

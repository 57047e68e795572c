"""Everything a reader must know to believe a result, from the recording alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from core import events as ev
from core.bench.card import Card, DeviceCard, LinkCard, PlanCard, RankCard
from core.bench.collect import Collector, split_name
from core.bench.stats import quantile
from core.bench.suite import Suite
from core.models.spec import ModelSpec
from core.plan.plan import Plan
from core.session.format import Recording
from core.state import ClusterState, Run, apply, link_key


class _Walk:
    """The recording, walked through once."""

    def __init__(self, recording: Recording) -> None:
        self.state: ClusterState = recording.header.state
        self.collector = Collector(self.state.run)
        self.begun: ev.BenchStarted | None = None
        self.start: ClusterState | None = None
        """At the suite's start; without a suite when the first run was ready."""
        self.bursts: dict[tuple[str, str], list[ev.LinkMeasured]] = {}
        self.plans: dict[str, Plan] = {}
        """By name, as measured."""
        self.options: dict[str, str] = {}
        self.proofs: dict[str, ev.RunReady] = {}
        self.ranks: dict[str, list[RankCard]] = {}
        self.failed = self.faults = 0
        self.drift = 0.0
        self._tick = 0.0
        if self.state.run is not None:
            self._ran(split_name(self.state.run.plan), self.state.run)
        for event in recording.events:
            self._take(event)

    def _take(self, event: ev.AnyEvent) -> None:
        self.state = apply(self.state, event)
        self.collector.take(event)
        run = self.state.run
        match event:
            case ev.BenchStarted():
                self.begun, self.start = event, self.state
                self.bursts, self.plans, self.options, self.proofs, self.ranks = {}, {}, {}, {}, {}
                # Not the faults: what was cut or delayed before is so still.
                self.failed = 0
            case ev.RunReady() if run is not None and self.begun is None:
                self.start = self.start or self.state
                self._ran(split_name(run.plan), run)
            case ev.TrialStarted() if run is not None:
                self._ran(event.plan, run)
            case ev.TrialDone() if event.error:
                self.failed += 1
            case ev.FaultInjected():
                self.faults += 1
            case ev.LinkMeasured() if event is self.state.links[link_key(event.source, event.target)].last:
                self.bursts.setdefault((event.source, event.target), []).append(event)
            case ev.Tick():
                if self._tick:
                    # A busy console ticks late, never early.
                    self.drift = max(self.drift, self._tick + 1 - event.t)
                self._tick = event.t
            case _:
                pass

    def _ran(self, name: str, run: Run) -> None:
        self.plans[name], self.options[name] = run.plan, _options(run)
        if run.ready is not None:
            self.proofs[name] = run.ready
        known = self.ranks.setdefault(name, [])
        known += [made for made in _ranks(run) if made not in known]


def card(recording: Recording) -> Card:
    """The card of a recording, of its last suite where it holds any."""
    walk = _Walk(recording)
    start = walk.start or walk.state
    suite = walk.begun.suite if walk.begun else None
    model = start.model
    return Card(
        started=walk.begun.t if walk.begun else recording.header.started,
        model=model.name if model else "",
        quantization=_quantization(model),
        layers=model.layers if model else 0,
        kv_bits=model.kv_bits if model else 0,
        model_sha256=walk.begun.model_sha256 if walk.begun else "",
        suite=suite.name if suite else "",
        suite_sha256=walk.begun.sha256 if walk.begun else "",
        sampling=suite.sampling if suite else None,
        points=tuple(point.label for point in suite.points) if suite else (),
        cache=_cache(suite, walk.collector),
        devices=tuple(_devices(walk, start)),
        links=tuple(_links(walk, start)),
        plans=tuple(_plans(walk)),
        software=recording.header.software,
        trials=sum(not trial.warmup for trial in walk.collector.trials),
        failed=walk.failed,
        faults=walk.faults,
        drift=round(walk.drift, 3),
        truncated=recording.truncated,
    )


def _quantization(model: ModelSpec | None) -> str:
    return "" if model is None else model.quantization or "not quantised"


def _cache(suite: Suite | None, collector: Collector) -> tuple[str, ...]:
    told: list[str] = []
    for point in suite.points if suite else ():
        reused = [
            answer.reused
            for trial in collector.trials
            if trial.point == point and not trial.warmup
            for answer in trial.answers
        ]
        if reused:
            most = f"{min(reused)}" if min(reused) == max(reused) else f"{min(reused)}–{max(reused)}"
            told.append(f"{point.label}: {most} of {point.depth + point.prompt}")
    return tuple(told)


def _devices(walk: _Walk, start: ClusterState) -> list[DeviceCard]:
    cards: list[DeviceCard] = []
    for device in sorted(start.devices.values(), key=lambda device: device.name):
        facts, sample = device.facts, device.sample
        if facts is None:
            continue
        cards.append(
            DeviceCard(
                name=device.name,
                chip=facts.chip,
                cores=facts.cores,
                memory=sample.memory_limit if sample else 0,
                budget=facts.budget,
                system=f"{facts.system} {facts.release}",
                load=sample.load if sample else None,
                swap=sample.swap_used if sample else None,
                celsius=sample.temperature if sample else None,
                watts=sample.power if sample else None,
            )
        )
    return cards


def _links(walk: _Walk, start: ClusterState) -> list[LinkCard]:
    neighbours = {
        frozenset((a.device, b.device))
        for plan in walk.plans.values()
        for a, b in zip(plan.posts, (*plan.posts[1:], plan.posts[0]), strict=True)
    }
    cards: list[LinkCard] = []
    for link in walk.state.links.values():
        before = start.links.get(f"{link.source}→{link.target}")
        bursts = walk.bursts.get((link.source, link.target), [])
        last = link.last
        if last is None:
            continue
        cards.append(
            LinkCard(
                source=link.source,
                target=link.target,
                kind=last.kind,
                address=last.address,
                before_us=before.last.p50_us if before and before.last else None,
                during_us=quantile([burst.p50_us for burst in bursts], 0.5),
                worst_us=max((burst.p99_us for burst in bursts), default=None),
                used=frozenset((link.source, link.target)) in neighbours,
            )
        )
    return cards


def _plans(walk: _Walk) -> list[PlanCard]:
    cards: list[PlanCard] = []
    for name, plan in walk.plans.items():
        proof = walk.proofs.get(name)
        own = [launch for launch in walk.collector.launches if launch.plan == name]
        cards.append(
            PlanCard(
                name=name,
                split=split_name(plan),
                backend=plan.backend,
                context=plan.context,
                forecast_tps=plan.forecast.decode_tps if plan.forecast else None,
                plan_sha256=proof.certificate.plan_sha256 if proof else "",
                held_sha256=proof.certificate.held_sha256 if proof else "",
                launches=len(own),
                options=walk.options.get(name, ""),
                ranks=tuple(walk.ranks.get(name, ())),
                launch_s=_mean([launch.launch_s for launch in own]),
                load_s=_mean([launch.load_s for launch in own]),
            )
        )
    return cards


def _ranks(run: Run) -> list[RankCard]:
    return [
        RankCard(
            device=rank.device,
            python=rank.hello.python,
            mlx=rank.hello.mlx,
            mlx_lm=rank.hello.mlx_lm,
            compute=rank.hello.compute,
            blas=rank.loaded.blas if rank.loaded else "",
            dequantised=rank.loaded.dequantised if rank.loaded else False,
        )
        for rank in run.ranks
        if rank.hello is not None
    ]


def _options(run: Run) -> str:
    """What was asked for, and what devices have in their environment without having been asked."""
    own = run.options.fast_synch
    set_there = [
        f"{rank.device}: fast synch {'on' if rank.hello.fast_synch else 'off'} in its environment"
        for rank in run.ranks
        if own is None and rank.hello is not None and rank.hello.fast_synch is not None
    ]
    return ", ".join(filter(None, [run.options.told, *set_there]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0

"""From events to trials: the one place where figures are made, live and from a recording alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from core import events as ev
from core.bench.metrics import Answer, Share, Trial
from core.plan.plan import Plan
from core.state import Run


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One launch: seconds from its first worker to the certificate, and the slowest rank's load of them."""

    plan: str
    split: str
    launch_s: float
    load_s: float


class _Open(msgspec.Struct):
    """A request under way."""

    started: float
    source: str
    times: list[float]
    """When each token came."""
    ids: list[int]


class Collector:
    """Hears every event in order; `trials` and `launches` hold what is complete, of the last suite if any."""

    def __init__(self, run: Run | None = None) -> None:
        self.trials: list[Trial] = []
        self.launches: list[Launch] = []
        self._run = run.id if run else ""
        self._split = split_name(run.plan) if run else ""
        self._devices = tuple(rank.device for rank in run.ranks) if run else ()
        self._started = 0
        self._loads: list[float] = []
        self._open: dict[str, _Open] = {}
        self._trial: ev.TrialStarted | None = None
        self._answers: dict[str, Answer] = {}
        self._timed: dict[str, list[ev.RankTimed]] = {}
        self._own: dict[str, int] = {}
        """Where in `trials` a request of no suite is, as ranks may tell of it only after its end."""
        self._spans: list[tuple[float, float]] = []
        self._disturbed = False
        self._watts: dict[str, list[float]] = {}
        """Samples of the devices that tell their power, since the trial's start."""

    @property
    def pending(self) -> list[str]:
        """Requests that are not done, or of which a rank has not yet told where its time went."""
        silent = [
            name
            for name, answer in self._answers.items()
            if not answer.error and len(self._timed.get(name, ())) < len(self._devices)
        ]
        return [*(name for name, one in self._open.items() if one.source == "bench"), *silent]

    def take(self, event: ev.AnyEvent) -> None:
        """One more event."""
        match event:
            case ev.RunStarted():
                self._run, self._split = event.run, split_name(event.plan)
                self._devices = tuple(post.device for post in event.plan.posts)
                self._loads, self._own = [], {}
            case ev.RankLoaded() if event.run == self._run:
                self._loads.append(event.seconds)
            case ev.RunReady() if event.run == self._run:
                self._started += 1
                load = max(self._loads, default=0.0)
                launched = Launch(plan=self._split, split=self._split, launch_s=event.seconds, load_s=load)
                self.launches.append(launched)
            case ev.BenchStarted():
                self.trials, self.launches, self._own = [], [], {}
            case ev.TrialStarted():
                self._trial = event
                others = {name: one for name, one in self._open.items() if one.source != "bench"}
                self._disturbed = bool(others)
                self._open, self._answers, self._timed, self._spans = others, {}, {}, []
                self._own, self._watts = {}, {}
                if self.launches:
                    self.launches[-1] = replace(self.launches[-1], plan=event.plan)
            case ev.DeviceSample() if event.power is not None:
                self._watts.setdefault(event.device, []).append(event.power)
            case ev.TrialDone() if self._trial is not None:
                self._close(event)
            case ev.RequestStarted():
                self._open[event.request] = _Open(event.t, event.source, [], [])
                self._disturbed = self._disturbed or event.source != "bench"
            case ev.TokensStreamed() if event.request in self._open:
                self._open[event.request].times += [event.t] * len(event.ids)
                self._open[event.request].ids += event.ids
            case ev.RankTimed():
                self._timed.setdefault(event.request, []).append(event)
                if (at := self._own.get(event.request)) is not None:
                    trial = self.trials[at]
                    self.trials[at] = replace(trial, ranks=self._shares([event.request], trial.seconds))
            case ev.RequestDone() if event.request in self._open:
                self._answered(event, self._open.pop(event.request))
            case _:
                pass

    def _answered(self, event: ev.RequestDone, request: _Open) -> None:
        answer = measured(event, request.started, request.times, request.ids)
        end = request.times[-1] if request.times else event.t
        if self._trial is not None and request.source == "bench":
            self._answers[event.request] = answer
            self._spans.append((request.started, end))
        elif request.source != "bench" and event.why in ("stop", "length"):
            self._own[event.request] = len(self.trials)
            self.trials.append(
                Trial(
                    plan=self._split,
                    split=self._split,
                    launch=max(0, self._started - 1),
                    point=None,
                    repeat=len(self.trials),
                    warmup=False,
                    started=request.started,
                    seconds=end - request.started,
                    answers=(answer,),
                    ranks=self._shares([event.request], end - request.started),
                )
            )

    def trial(self) -> Trial | str:
        """The open trial as it stands, or what is wrong with it."""
        begun = self._trial
        if begun is None or not self._spans:
            return "no request was answered"
        if self._disturbed:
            return "other requests ran at the same time"
        if failure := next((answer.error for answer in self._answers.values() if answer.error), ""):
            return failure
        start = min(start for start, _ in self._spans)
        seconds = max(end for _, end in self._spans) - start
        return Trial(
            plan=begun.plan,
            split=self._split,
            launch=begun.launch,
            point=begun.point,
            repeat=begun.repeat,
            warmup=begun.warmup,
            started=start,
            seconds=seconds,
            answers=tuple(self._answers.values()),
            ranks=self._shares(list(self._answers), seconds),
            joules=self._joules(seconds),
        )

    def _joules(self, seconds: float) -> float | None:
        devices = set(self._devices)
        if not devices or not devices <= self._watts.keys():
            return None
        return seconds * sum(sum(self._watts[name]) / len(self._watts[name]) for name in devices)

    def _close(self, event: ev.TrialDone) -> None:
        made = self.trial()
        self._trial = None
        if isinstance(made, Trial) and not event.error:
            self.trials.append(made)

    def _shares(self, requests: list[str], seconds: float) -> tuple[Share, ...]:
        """Requests under way together wait together, and are computed partly together, and each says so in
        full: the longest waiting counts once, and computing is at most what is left. Handing over is a part
        of what a request waited."""
        told = [timed for name in requests for timed in self._timed.get(name, ())]
        shares: list[Share] = []
        for rank, device in enumerate(self._devices):
            own = [timed for timed in told if timed.rank == rank]
            if own:
                longest = max(own, key=lambda timed: timed.wait_s)
                waiting = min(seconds, longest.wait_s)
                sending = min(waiting, longest.send_s)
                shares.append(
                    Share(
                        rank=rank,
                        device=device,
                        compute_s=min(seconds - waiting, sum(timed.compute_s for timed in own)),
                        wait_s=waiting - sending,
                        send_s=sending,
                        peak=max(timed.peak for timed in own),
                    )
                )
        return tuple(shares)


def measured(done: ev.RequestDone, started: float, times: list[float], ids: list[int]) -> Answer:
    """One request's figures: when it was sent, when each token came, and what rank 0 said at its end."""
    failed = done.why in ("error", "cancel")
    return Answer(
        prompt=done.prompt_tokens,
        reused=done.reused_tokens,
        tokens=len(times),
        ttft_s=times[0] - started if times else None,
        gaps_s=tuple(round(after - before, 6) for before, after in pairwise(times)),
        ids_sha256=hashlib.sha256(str(ids).encode()).hexdigest()[:16],
        told_decode_tps=done.decode_tps,
        error=(done.detail or done.why) if failed else "",
    )


def split_name(plan: Plan) -> str:
    """Device and layers of each stage."""
    return " / ".join(f"{'+'.join(stage.devices)} {stage.layers}" for stage in plan.stages)


def collect(events: Iterable[ev.AnyEvent], run: Run | None = None) -> Collector:
    """Everything in some events; `run` is the one that was live before the first."""
    collector = Collector(run)
    for event in events:
        collector.take(event)
    return collector

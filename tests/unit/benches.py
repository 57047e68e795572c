"""Recordings of suites that were never run: what a console would have written, with speeds to order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

from core import events as ev
from core.bench.suite import Point, Suite
from core.bus import Bus
from core.models.spec import ModelSpec
from core.plan.check import Held, certify
from core.plan.plan import Plan, Stage
from core.session.format import Header, Recording
from core.session.record import Recorder
from core.state import ClusterState, apply

T0 = 1_800_000_000.0
SUITE = Suite(name="made-up", prompt=(16, 32), generate=(8,), launches=1)
SPEC = ModelSpec(
    name="toy", path="/models/toy", family="llama", layers=4, layer_bytes=(100,) * 4, embed_bytes=50,
    head_bytes=0, tied=True, hidden=8, heads=2, kv_heads=2, kv_bytes=(16,) * 4, windows=(None,) * 4,
    vocabulary=512, context=4096, quantization="4-bit g32",
)  # fmt: skip


def plan(split: tuple[int, int] = (3, 1)) -> Plan:
    stages = (Stage("a", 0, split[0]), Stage("b", split[0], 4))
    return Plan(model="toy", layers=4, stages=stages, context=4096, backend="sockets")


class Made:
    """Events of a suite as `token_s` seconds a token make them, launches and repeats spreading by so much."""

    def __init__(
        self,
        token_s: float = 0.1,
        *,
        seed: int = 0,
        suite: Suite = SUITE,
        plans: dict[str, tuple[Plan, float]] | None = None,
        launch_sd: float = 0.0,
        repeat_sd: float = 0.01,
        repeats: int = 5,
        model: str = "ab" * 32,
        load: float = 0.1,
        chip: str = "Apple M4",
    ) -> None:
        self.t = T0
        self._random = random.Random(seed)
        self._suite, self._repeats, self._load, self._chip = suite, repeats, load, chip
        self._plans = plans or {"auto": (plan(), token_s)}
        self._launch_sd, self._repeat_sd, self._model = launch_sd, repeat_sd, model
        self.events = list(self._all())

    def recorded(self, path: Path) -> Path:
        """The file a console would have made of it."""
        bus = Bus()
        recorder = Recorder(bus, path)
        for event in self.events:
            bus.publish(event)
        recorder.close()
        return path

    @property
    def recording(self) -> Recording:
        header = Header(started=T0, software={"exo-tui": "0.1.0"}, state=ClusterState())
        return Recording(header, tuple(self.events), truncated=False)

    @property
    def state(self) -> ClusterState:
        return reduce(apply, self.events, ClusterState())

    def _all(self) -> Iterator[ev.AnyEvent]:
        for name in "ab":
            yield ev.DeviceSeen(t=self.t, device=name, name=name, address="10.0.0.1", status="ready")
            yield ev.DeviceFacts(
                t=self.t, device=name, system="Darwin", release="26.2", machine="arm64", chip=self._chip,
                cores=10, python="3.12",
            )  # fmt: skip
            yield ev.DeviceSample(
                t=self.t, device=name, memory_total=2**35, memory_used=2**33, memory_limit=2**34,
                load=self._load, swap_used=0,
            )  # fmt: skip
        yield self._burst(400.0)
        yield ev.ModelChosen(t=self.t, spec=SPEC)
        yield ev.BenchStarted(
            t=self.t, suite=self._suite, sha256=self._suite.sha256, model_sha256=self._model
        )
        for launch in range(self._suite.launches):
            for name, (made, token_s) in self._plans.items():
                yield from self._launched(name, made, token_s, launch)
        yield ev.BenchDone(t=self.t, why="done")

    def _burst(self, p50: float) -> ev.LinkMeasured:
        return ev.LinkMeasured(
            t=self.t, source="a", target="b", kind="thunderbolt", address="10.0.1.2", sent=30, received=30,
            min_us=p50 / 2, p50_us=p50, p99_us=p50 * 3,
        )  # fmt: skip

    def _launched(self, name: str, made: Plan, token_s: float, launch: int) -> Iterator[ev.AnyEvent]:
        run = f"{name}{launch}"
        token_s *= 1 + self._random.gauss(0, self._launch_sd)
        yield ev.PlanChosen(t=self.t, plan=made)
        yield ev.RunStarted(t=self.t, run=run, plan=made)
        held: list[Held] = []
        for rank, stage in enumerate(made.stages):
            held.append(Held(rank, stage.device, stage.start, stage.end, "cd" * 32))
            yield ev.RankHello(
                t=self.t, run=run, rank=rank, pid=1, python="3.12", mlx="0.32.4", mlx_lm="0.32.2",
                compute="gpu",
            )  # fmt: skip
            yield ev.RankLoaded(
                t=self.t, run=run, rank=rank, start=stage.start, end=stage.end, weights=100,
                digest="cd" * 32, seconds=1.5,
            )  # fmt: skip
        self.t += 4
        yield ev.RunReady(t=self.t, run=run, certificate=certify(made, held), seconds=4.0)
        for turn in range(-1, self._repeats):
            for point in self._suite.points:
                yield from self._trial(name, launch, point, turn, token_s)
        yield self._burst(420.0)
        yield ev.RunStopped(t=self.t, run=run, failed=False, reason="")

    def _trial(
        self, name: str, launch: int, point: Point, turn: int, token_s: float
    ) -> Iterator[ev.AnyEvent]:
        yield ev.TrialStarted(t=self.t, plan=name, launch=launch, point=point, repeat=turn, warmup=turn < 0)
        own = token_s * (1 + self._random.gauss(0, self._repeat_sd)) * (2 if turn < 0 else 1)
        begun, ends = self.t, []
        for place in range(point.concurrency):
            request = f"{name}{launch}{point.label}{turn}{place}"
            self.t = begun
            yield ev.RequestStarted(
                t=self.t, request=request, conversation="", prompt="tokens", source="bench"
            )
            self.t += own * point.prompt / 4
            for i in range(point.generate):
                self.t += own if i else 0
                yield ev.TokensStreamed(t=self.t, request=request, ids=(i,), text="x")
            yield ev.RankTimed(
                t=self.t, request=request, rank=0, compute_s=own * 6, wait_s=own, send_s=own / 4, steps=8,
                peak=300,
            )  # fmt: skip
            yield ev.RankTimed(
                t=self.t, request=request, rank=1, compute_s=own, wait_s=own * 6, steps=8, peak=100
            )
            yield ev.RequestDone(
                t=self.t, request=request, why="length", prompt_tokens=point.depth + point.prompt,
                reused_tokens=point.depth, tokens=point.generate, ttft_s=own * point.prompt / 4,
            )  # fmt: skip
            ends.append(self.t)
        self.t = max(ends) + 0.01
        yield ev.TrialDone(t=self.t)

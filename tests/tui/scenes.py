"""Clusters for the screen to show, folded from events as a live one would send them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core import events as ev
from core.bench.suite import Suite
from core.bus import Bus
from core.conversations.manner import Manner
from core.conversations.summary import Summary
from core.intents import FaultKind
from core.joining import Wanted
from core.models.found import Fit, Model
from core.models.spec import ModelSpec
from core.plan.check import Certificate, Held
from core.plan.plan import Plan, Stage
from core.session.marks import Mark, marks
from core.shelf import Shelf
from core.state import ClusterState, apply

T0 = 1_800_000_000.0
MIB = 2**20
NAMES = ("demo-a", "demo-b", "demo-c")
SPLIT = (12, 10, 8)
ANSWER = (
    "A pipeline splits a model **by layers**:\n\n"
    "1. each device holds a contiguous range,\n"
    "2. hidden states move from stage to stage.\n\n"
    "```python\nfor layer in stage:\n    h = layer(h)\n```\n"
)

SPEC = ModelSpec(
    name="SmolLM2-135M",
    path="/models/smollm2",
    family="llama",
    layers=30,
    layer_bytes=(2 * MIB,) * 30,
    embed_bytes=28 * MIB,
    head_bytes=0,
    tied=True,
    hidden=576,
    heads=9,
    kv_heads=3,
    kv_bytes=(768,) * 30,
    windows=(None,) * 30,
    vocabulary=49152,
    context=8192,
)


def plan(split: tuple[int, ...] = SPLIT, names: tuple[str, ...] = NAMES) -> Plan:
    edges = [sum(split[:i]) for i in range(len(split) + 1)]
    return Plan(
        model=SPEC.name,
        layers=sum(split),
        stages=tuple(Stage(name, edges[i], edges[i + 1]) for i, name in enumerate(names)),
        context=4096,
        backend="sockets",
        why=("layers in proportion to the memory free on each device",),
    )


def devices(t: float = T0) -> Iterator[ev.AnyEvent]:
    for name in NAMES:
        yield ev.DeviceSeen(t=t, device=name, name=name, address="127.0.0.1", status="connecting")
        yield ev.DeviceFacts(
            t=t,
            device=name,
            system="Linux",
            release="6.8",
            machine="x86_64",
            chip="AMD EPYC 7763",
            cores=2,
            python="3.11.9",
            budget=True,
        )
        yield ev.DeviceSeen(t=t, device=name, name=name, address="127.0.0.1", status="ready")


def second(t: float, i: int, busy: float = 0.0) -> Iterator[ev.AnyEvent]:
    """What a second of a live cluster brings."""
    yield ev.Tick(t=t)
    for k, name in enumerate(NAMES):
        used = int((380 + 90 * k + 40 * ((i * (k + 3)) % 7) / 7 + busy * 300) * MIB)
        yield ev.DeviceSample(
            t=t,
            device=name,
            memory_total=2048 * MIB,
            memory_used=used,
            memory_limit=(2048 - 512 * k) * MIB,
            swap_used=0,
            load=0.3 + 0.1 * k,
        )
    if i % 5 == 0:
        for a in NAMES:
            for b in NAMES:
                if a != b:
                    p50 = 38 + 6 * ((i * 7 + ord(a[-1]) + 3 * ord(b[-1])) % 5)
                    yield ev.LinkMeasured(
                        t=t,
                        source=a,
                        target=b,
                        kind="loopback",
                        address="127.0.0.1",
                        sent=30,
                        received=30,
                        min_us=p50 - 9.0,
                        p50_us=float(p50),
                        p99_us=p50 * 2.4,
                    )


def many(count: int, t: float = T0, seconds: int = 3) -> Iterator[ev.AnyEvent]:
    """So many more devices, of which every seventh is lost."""
    for k in range(count):
        name = f"node-{k:02}"
        status = "lost" if k % 7 == 6 else "ready"
        yield ev.DeviceSeen(t=t, device=name, name=name, address=f"10.0.0.{k}", status=status)
        for i in range(seconds):
            yield ev.DeviceSample(
                t=t + i, device=name, memory_total=2048 * MIB, memory_used=(200 + 20 * k) * MIB,
                memory_limit=2048 * MIB, swap_used=0, load=0.1 * k,
            )  # fmt: skip


def certificate(of: Plan) -> Certificate:
    held = tuple(Held(i, s.device, s.start, s.end, "00" * 32) for i, s in enumerate(of.stages))
    return Certificate(layers=of.layers, held=held, plan_sha256="11" * 32, held_sha256="a1b2c3d4" * 8)


def run_ready(t: float, run: str = "run-1") -> Iterator[ev.AnyEvent]:
    chosen = plan()
    yield ev.RunStarted(t=t, run=run, plan=chosen)
    for rank, stage in enumerate(chosen.stages):
        yield ev.RankHello(
            t=t,
            run=run,
            rank=rank,
            pid=40210 + rank,
            python="3.11.9",
            mlx="0.32.4",
            mlx_lm="0.32.2",
            compute="cpu",
        )
        yield ev.RankPhased(t=t, run=run, rank=rank, phase="load", done=stage.layers, total=stage.layers)
        yield ev.RankLoaded(
            t=t,
            run=run,
            rank=rank,
            start=stage.start,
            end=stage.end,
            weights=60 * MIB,
            digest="00" * 32,
            seconds=1.2,
        )
        yield ev.RankLogged(
            t=t, run=run, rank=rank, line=f"loaded layers {stage.start} to {stage.end - 1} in 1.2 s"
        )
        yield ev.RankPhased(t=t, run=run, rank=rank, phase="ready")
        yield ev.RankBeat(
            t=t,
            run=run,
            rank=rank,
            state="idle",
            age=0.1,
            step=0,
            active=(150 - 20 * rank) * MIB,
            peak=(190 - 20 * rank) * MIB,
            cache=10 * MIB,
        )
    yield ev.RunReady(t=t, run=run, certificate=certificate(chosen), seconds=6.4)
    yield ev.Alert(t=t, level="info", subject="run", text="every rank is ready")


def asked(
    t: float, request: str = "q1", prompt: str = "How does a pipeline split a model?"
) -> Iterator[ev.AnyEvent]:
    yield ev.RequestStarted(t=t, request=request, conversation="c1", prompt=prompt)
    yield ev.PrefillProgressed(t=t + 0.2, request=request, done=32, total=57)


def streamed(t: float, text: str = ANSWER, request: str = "q1") -> Iterator[ev.AnyEvent]:
    for i, word in enumerate(text.split(" ")):
        yield ev.TokensStreamed(t=t + i * 0.08, request=request, ids=(i,), text=(" " if i else "") + word)


def answered(t: float, request: str = "q1") -> Iterator[ev.AnyEvent]:
    for rank in range(3):
        yield ev.RankTimed(
            t=t,
            request=request,
            rank=rank,
            compute_s=0.9 - 0.2 * rank,
            wait_s=0.4 + 0.2 * rank,
            steps=57,
            peak=190 * MIB,
        )
    yield ev.RequestDone(
        t=t,
        request=request,
        why="stop",
        prompt_tokens=57,
        tokens=57,
        ttft_s=0.41,
        prefill_tps=88.0,
        decode_tps=12.3,
    )


def planned(seconds: int = 1) -> list[ev.AnyEvent]:
    """Three devices ready, a plan, an empty conversation."""
    events = [*devices(), ev.ModelChosen(t=T0, spec=SPEC)]
    for i in range(seconds):
        events += second(T0 + i, i)
    events += [ev.PlanChosen(t=T0, plan=plan()), ev.ConversationStarted(t=T0, conversation="c1")]
    return events


def everything(seconds: int = 100) -> list[ev.AnyEvent]:
    """A minute and more of use: run, answer, a lost device, a warning, peers that are no devices yet."""
    events = planned()
    for i in range(1, seconds):
        t = T0 + i
        if i == 20:
            events += run_ready(t)
        if i == 30:
            events += asked(t)
        if 31 <= i < 40:
            words = ANSWER.split(" ")
            said = words[(i - 31) * 3 : (i - 30) * 3]
            events += [ev.TokensStreamed(t=t, request="q1", ids=(i,), text=word + " ") for word in said]
        if i == 41:
            events += answered(t)
        if i == 60:
            events += [*asked(t, "q2", "And what does each rank hold?")]
        if 62 <= i < 70:
            events.append(
                ev.TokensStreamed(t=t, request="q2", ids=tuple(range(11)), text="only its own tensors, ")
            )
        events += second(t, i, busy=0.4 if i >= 20 else 0.0)
    t = T0 + seconds
    events += [
        ev.PeerSeen(
            t=t,
            key="studio.local.:22",
            name="Mac Studio",
            host="studio.local.",
            addresses=("192.168.1.20",),
            port=22,
            services=("_ssh._tcp",),
        ),
        ev.Alert(
            t=t,
            level="warning",
            subject="demo-c",
            text="memory is 92 % of what ranks may use; the next long "
            "prompt may not fit, take a shorter context",
        ),
    ]
    return events


def fold(events: list[ev.AnyEvent]) -> ClusterState:
    state = ClusterState()
    for event in events:
        state = apply(state, event)
    return state


class FakeConversations:
    """A list of conversations; records what was asked of it."""

    def __init__(self, calls: list[tuple[object, ...]]) -> None:
        self.calls = calls
        self.summaries: list[Summary] = []

    def new(self) -> None:
        self.calls.append(("new",))

    def open(self, conversation: str) -> None:
        self.calls.append(("open", conversation))

    def tune(self, manner: Manner) -> None:
        self.calls.append(("tune", manner))

    def rename(self, conversation: str, title: str) -> None:
        self.calls.append(("rename", conversation, title))

    def delete(self, conversation: str) -> None:
        self.calls.append(("delete", conversation))

    async def all(self) -> list[Summary]:
        return self.summaries


class FakeModels:
    """A list of models; records what was asked of it."""

    def __init__(self, calls: list[tuple[object, ...]]) -> None:
        self.calls = calls
        self.models: list[Model] = []
        self.fits: dict[str, Fit] = {}
        self.there: dict[str, dict[str, bool | None]] = {}

    async def all(self) -> list[Model]:
        return self.models

    async def fit(self, model: Model) -> Fit | None:
        return self.fits.get(model.path)

    async def presence(self, path: str) -> dict[str, bool | None]:
        return self.there.get(path, {})

    async def add(self, place: str) -> str:
        self.calls.append(("add place", place))
        return "" if place.startswith("/") else f"there is no folder {place}"

    def use(self, path: str) -> None:
        self.calls.append(("use", path))


class FakeIntents:
    """Records what was asked of it."""

    def __init__(self, faults: tuple[FaultKind, ...] = ()) -> None:
        self.faults = faults
        self.calls: list[tuple[object, ...]] = []
        self.shelf = Shelf(Path("no folder"))
        self.conversations = FakeConversations(self.calls)
        self.library = FakeModels(self.calls)

    def relaunch(self) -> None:
        self.calls.append(("relaunch",))

    def take(self, plan: Plan) -> None:
        self.calls.append(("take", plan.split))

    def automatic(self) -> None:
        self.calls.append(("automatic",))

    def launch(self) -> None:
        self.calls.append(("launch",))

    def stop(self) -> None:
        self.calls.append(("stop",))

    def recover(self, accepted: bool) -> None:
        self.calls.append(("recover", accepted))

    def ask(self, prompt: str, replaces: str = "") -> None:
        self.calls.append(("ask", prompt, replaces) if replaces else ("ask", prompt))

    def cancel(self) -> None:
        self.calls.append(("cancel",))

    def withdraw(self, request: str) -> None:
        self.calls.append(("withdraw", request))

    def reorder(self, request: str, step: int) -> None:
        self.calls.append(("reorder", request, step))

    def serve(self) -> None:
        self.calls.append(("serve",))

    def trust(self, device: str, accepted: bool) -> None:
        self.calls.append(("trust", device, accepted))

    def add(self, peer: ev.PeerSeen, wanted: Wanted) -> None:
        self.calls.append(("add", peer.key, wanted))

    def record(self) -> None:
        self.calls.append(("record",))

    def bench(self, suite: Suite) -> None:
        self.calls.append(("bench", suite.name))

    def pause_bench(self, paused: bool) -> None:
        self.calls.append(("pause", paused))

    def abort_bench(self) -> None:
        self.calls.append(("abort",))

    def measure(self, device: str) -> None:
        self.calls.append(("measure", device))

    def lap(self) -> None:
        self.calls.append(("lap",))

    def provision(self, device: str) -> None:
        self.calls.append(("provision", device))

    def unprovision(self, device: str) -> None:
        self.calls.append(("unprovision", device))

    def inject(self, kind: FaultKind, device: str) -> None:
        self.calls.append(("inject", kind, device))

    async def close(self) -> None:
        self.calls.append(("close",))


class FakePlayback:
    """A recording that moves only when told to."""

    paused = True
    speed = 1.0
    truncated = True

    def __init__(self, bus: Bus, events: list[ev.AnyEvent]) -> None:
        self._bus = bus
        self._events = events
        self.position = 0
        self.length = len(events)
        self.step(self.length)

    @property
    def elapsed(self) -> float:
        return max(0.0, self._bus.state.now - T0)

    @property
    def duration(self) -> float:
        return self._events[-1].t - T0

    async def play(self) -> None:
        pass

    @property
    def marks(self) -> tuple[Mark, ...]:
        return marks(self._events, T0)

    def toggle(self) -> None:
        self.paused = not self.paused

    def seek(self, elapsed: float) -> None:
        self.step(sum(event.t - T0 <= elapsed for event in self._events) - self.position)

    def jump(self, step: int) -> Mark | None:
        beyond = [mark for mark in self.marks if (mark.position - self.position) * step > 0]
        if not beyond:
            return None
        self.step(beyond[0 if step > 0 else -1].position - self.position)
        return beyond[0 if step > 0 else -1]

    def step(self, events: int) -> None:
        self.position = min(self.length, max(0, self.position + events))
        self._bus.state = fold(self._events[: self.position])

    def change_speed(self, factor: float) -> None:
        self.speed *= factor

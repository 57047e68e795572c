"""Clusters of any size for the shard board, and intents that keep to a plan as the live cluster does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from msgspec.structs import replace

from core import events as ev
from core.bus import Bus
from core.handmade import Handmade
from core.models.spec import ModelSpec
from core.plan.plan import Plan
from core.shelf import Shelf
from core.wiring import LinkKind
from tests.tui import scenes

T0 = scenes.T0
GIB = 2**30
LARGE = replace(
    scenes.SPEC,
    name="Qwen3-235B-A22B-4bit",
    layers=94,
    layer_bytes=(GIB + GIB // 3,) * 94,
    kv_bytes=(2048,) * 94,
    windows=(None,) * 94,
    hidden=4096,
    heads=64,
    kv_heads=4,
    context=40960,
)


def plan(spec: ModelSpec, split: dict[str, int]) -> Plan:
    made = scenes.plan(tuple(split.values()), tuple(split))
    return replace(made, model=spec.name)


def cluster(
    spec: ModelSpec, memory: dict[str, float], split: dict[str, int], *, chip: str = "Apple M3 Ultra"
) -> Iterator[ev.AnyEvent]:
    """Devices with so many GiB each, all linked, and the planner's plan."""
    yield ev.Tick(t=T0)
    for name, gib in memory.items():
        yield ev.DeviceSeen(t=T0, device=name, name=name, address="10.0.0.1", status="ready")
        yield ev.DeviceFacts(
            t=T0, device=name, system="macOS", release="26.2", machine="arm64", chip=chip, cores=32,
            python="3.12.4",
        )  # fmt: skip
        yield ev.DeviceSample(
            t=T0, device=name, memory_total=int(gib * GIB * 1.3), memory_used=int(gib * GIB / 16),
            memory_limit=int(gib * GIB),
        )  # fmt: skip
    for i, (a, b) in enumerate(combinations(memory, 2)):
        kind: LinkKind = "ethernet" if i % 3 else "thunderbolt"
        yield ev.LinkMeasured(
            t=T0, source=a, target=b, kind=kind, address="10.0.0.2", sent=30, received=30,
            min_us=300 + 10 * i, p50_us=350 + 10 * i, p99_us=500,
        )  # fmt: skip
    yield ev.ModelChosen(t=T0, spec=spec)
    yield ev.PlanChosen(t=T0, plan=plan(spec, split))
    yield ev.ConversationStarted(t=T0, conversation="c1")


def eight() -> list[ev.AnyEvent]:
    """Eight Macs, six of them in the plan, for a large model."""
    memory = dict(zip((f"studio-{i}" for i in range(1, 9)), (96, 64, 48, 36, 36, 24, 24, 18), strict=True))
    split = dict(zip(memory, (38, 24, 16, 8, 6, 2), strict=False))
    return list(cluster(LARGE, memory, split))


class Keeping(scenes.FakeIntents):
    """Intents that take plans, as the live cluster does."""

    def __init__(self, shelf: Path = Path("no folder")) -> None:
        super().__init__()
        self.shelf = Shelf(shelf)
        self._handmade: Handmade | None = None

    def use(self, bus: Bus) -> None:
        """Keep to plans on this bus."""
        self._handmade = Handmade(bus)
        bus.subscribe(self._handmade.consider)

    def take(self, plan: Plan) -> None:
        super().take(plan)
        if self._handmade is not None:
            self._handmade.take(plan)

    def automatic(self) -> None:
        super().automatic()
        if self._handmade is not None:
            self._handmade.release()

    async def close(self) -> None:
        await super().close()
        if self._handmade is not None:
            await self._handmade.close()

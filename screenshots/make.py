"""Make the pictures of this folder from a rehearsal run: `uv run python screenshots/make.py`.

Three real devices on this machine, the demo model, a real answer; nothing is staged but the questions.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from core import config
from core.bus import Bus
from core.cluster import Cluster
from core.models import demo
from core.models.spec import read
from core.rehearsal.rehearsal import Rehearsal
from core.request import Sampling
from core.state import ClusterState
from tui.app import ConsoleApp

HERE = Path(__file__).parent
LIMIT_S = 120.0
QUESTIONS = (
    "What is the capital of France?",
    "Write a short story about a lighthouse keeper.",
)


async def until(bus: Bus, condition: Callable[[ClusterState], object]) -> None:
    """Wait for the cluster to be in a condition."""
    async with asyncio.timeout(LIMIT_S):
        await bus.until(lambda state: bool(condition(state)))


async def keep(pilot: Pilot[None], name: str, size: tuple[int, int], theme: str = "dark") -> None:
    """Write the screen as it is at this size and in this theme."""
    app = pilot.app
    app.theme = theme
    await pilot.resize_terminal(*size)
    await pilot.pause(1.2)  # each timer has drawn at least once
    (HERE / f"{name}.svg").write_text(app.export_screenshot(title="exo-tui"), encoding="utf-8")


async def main() -> None:
    """Launch, ask, and keep a picture at each turn."""
    settings = config.load()
    spec = read(await demo.ensure(settings.cache, print))
    bus = Bus()
    cluster = Cluster(bus, settings, spec=spec, sampling=Sampling(max_tokens=120), rehearsal=Rehearsal(3))

    async def connect() -> Cluster:
        await cluster.start()
        return cluster

    app = ConsoleApp(bus, connect, title="exo-tui demo")
    try:
        async with app.run_test(size=(160, 48)) as pilot:
            await until(bus, lambda s: s.plan and len(s.links) >= 3 and len(s.plan.stages) == 3)
            await pilot.press("l")
            await until(bus, lambda s: s.run and any(r.phase == "load" for r in s.run.ranks))
            await until(bus, lambda s: s.run and s.run.ready)
            for question in QUESTIONS:
                await pilot.press("escape", "i", *question, "enter")
                if question is QUESTIONS[-1]:
                    await until(bus, lambda s: s.active and len(s.active.ids) > 24)
                    await keep(pilot, "console", (160, 48))
                await until(bus, lambda s: s.active is None and list(s.requests.values())[-1].ranks)
            await pilot.press("escape", "1")
            await keep(pilot, "cluster", (100, 30))
            await keep(pilot, "cluster-light", (100, 30), "light")
            await pilot.press("2")
            await keep(pilot, "chat", (100, 30))
            await pilot.press("3")
            await keep(pilot, "plots", (100, 30))
    finally:
        await cluster.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

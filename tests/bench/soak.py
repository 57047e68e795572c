"""Half an hour of chat and sampling in a rehearsal: memory, files and tasks of the console must not grow.

    python -m tests.bench.soak [--minutes M] [--devices N]

Exits 1 when RSS has grown by 5 MB or more since a sixth of the time, or descriptors or tasks have.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from core.bus import Bus
from core.cluster import Cluster
from core.config import Config
from core.models.spec import read
from core.rehearsal.rehearsal import Rehearsal
from core.request import Sampling
from core.wish import Wish
from tests.tiny_models import build

GROWTH = 5e6
SAMPLES = 60


class Seen(NamedTuple):
    """What this process takes."""

    rss: int
    files: int
    tasks: int


def _look() -> Seen:
    gc.collect()
    own = psutil.Process()
    return Seen(own.memory_info().rss, own.num_fds(), len(asyncio.all_tasks()))


async def main() -> int:
    """Print a line now and then, and the verdict."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--devices", type=int, default=16)
    args = parser.parse_args()
    length = args.minutes * 60
    with tempfile.TemporaryDirectory(prefix="exo-tui-soak-") as folder:
        spec = read(build("llama", Path(folder) / "model"))
        cluster = Cluster(
            Bus(), Config(Path(folder), Path(folder) / "cache"), spec=spec, wish=Wish(split=(3, 3)),
            sampling=Sampling(max_tokens=64), rehearsal=Rehearsal(args.devices, (0.5,)),
            conversations=Path(folder) / "conversations",
        )  # fmt: skip
        bus = cluster.bus
        seen: list[Seen] = []
        try:
            await cluster.start()
            await bus.until(
                lambda s: (
                    s.plan is not None
                    and sum(d.status == "ready" for d in s.devices.values()) == args.devices
                )
            )
            began, answers = time.monotonic(), 0
            while time.monotonic() - began < length:
                if answers % 5 == 0:
                    cluster.conversations.new()
                cluster.ask(f"Tell me about {answers}")
                await bus.until(lambda s: s.active is None)
                answers += 1
                await asyncio.sleep(0.5)
                if time.monotonic() - began > length * (len(seen) + 1) / (SAMPLES + 1):
                    seen.append(_look())
                    if len(seen) % 6 == 0:
                        now = seen[-1]
                        print(
                            f"{(time.monotonic() - began) / 60:5.1f} min  {answers} answers  "
                            f"{now.rss / 1e6:.1f} MB  {now.files} files  {now.tasks} tasks",
                            flush=True,
                        )
        finally:
            await cluster.close()
    late = seen[len(seen) // 6 :]
    grown = late[-1].rss - late[0].rss
    # Counts move with what is under way; a leak moves the least of them.
    half = len(late) // 2
    leaks = [
        name
        for name in ("files", "tasks")
        if min(getattr(one, name) for one in late[half:]) > min(getattr(one, name) for one in late[:half]) + 1
    ]
    print(f"{answers} answers, RSS {grown / 1e6:+.1f} MB since minute {args.minutes / 6:.0f}, leaks: {leaks}")
    return 1 if grown >= GROWTH or leaks else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

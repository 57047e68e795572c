"""What recording costs, and how fast a replay opens and seeks: `python -m tests.bench.recording`.

A session of four devices as a live one would send it: samples and beats each second, links every half minute,
twenty tokens a second without a break.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from core import events as ev
from core.bus import Bus
from core.plan.plan import Plan, Stage
from core.session.format import read
from core.session.record import Recorder
from core.session.replay import Player

NAMES = ("a", "b", "c", "d")
TOKENS_A_SECOND = 20
PLAN = Plan(
    model="m", layers=4, stages=tuple(Stage(n, i, i + 1) for i, n in enumerate(NAMES)), context=4096,
    backend="sockets",
)  # fmt: skip


def session(seconds: int, start: float) -> Iterator[ev.AnyEvent]:
    """The events of a session."""
    for name in NAMES:
        yield ev.DeviceSeen(t=start, device=name, name=name, address="10.0.0.1", status="ready")
    yield ev.RunStarted(t=start, run="r", plan=PLAN)
    for second in range(seconds):
        t = start + second
        for name in NAMES:
            yield ev.DeviceSample(
                t=t,
                device=name,
                memory_total=2**34,
                memory_used=2**33 + second * 1234,
                memory_limit=2**34,
                swap_used=0,
                load=0.5 + second % 7 / 10,
            )
        for half in (0.0, 0.5):
            for rank in range(len(NAMES)):
                yield ev.RankBeat(
                    t=t + half,
                    run="r",
                    rank=rank,
                    state="busy",
                    age=0.01,
                    step=second,
                    active=123456789 + second,
                    peak=12345678,
                    cache=123456,
                )
        if second % 30 == 0:
            yield ev.RequestStarted(t=t, request=f"q{second // 30}", conversation="c", prompt="hello")
            for i, one in enumerate(NAMES):
                for other in NAMES[i + 1 :]:
                    yield ev.LinkMeasured(
                        t=t,
                        source=one,
                        target=other,
                        kind="ethernet",
                        address="10.0.0.2",
                        sent=30,
                        received=30,
                        min_us=30.0,
                        p50_us=40.0 + second % 11,
                        p99_us=99.0,
                    )
        for i in range(TOKENS_A_SECOND):
            number = second * TOKENS_A_SECOND + i
            yield ev.TokensStreamed(
                t=t + i / TOKENS_A_SECOND,
                request=f"q{second // 30}",
                ids=(number,),
                text=f" word{number % 97}",
            )
        yield ev.Tick(t=t + 0.99)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=10)
    seconds = parser.parse_args().minutes * 60
    events = list(session(seconds, time.time()))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "session.exo"
        spent = []
        for recorded in (False, True):
            bus = Bus()
            recorder = Recorder(bus, file) if recorded else None
            began = time.perf_counter()
            for event in events:
                bus.publish(event)
            spent.append(time.perf_counter() - began)
            if recorder is not None:
                recorder.close()
        cost = (spent[1] - spent[0]) / seconds
        print(f"{len(events)} events; recorded {file.stat().st_size / seconds:.0f} B/s, {cost:.3%} of a core")
        began = time.perf_counter()
        player = Player(read(file), Bus())
        print(f"opened in {(time.perf_counter() - began) * 1e3:.0f} ms")
        took: dict[float, float] = {}
        drawn = random.Random(1)
        for share in (1.0, 0.0, *(drawn.random() for _ in range(100))):
            began = time.perf_counter()
            player.seek(player.duration * share)
            took[share] = time.perf_counter() - began
        slowest = max(took, key=lambda share: took[share])
        print(
            f"to the end in {took[1.0] * 1e3:.0f} ms; the slowest of {len(took)} jumps took "
            f"{took[slowest] * 1e3:.0f} ms, to {slowest:.0%}"
        )


if __name__ == "__main__":
    main()

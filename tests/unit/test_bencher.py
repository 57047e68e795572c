"""How often a point is repeated: until it is known, and for long enough."""

from __future__ import annotations

from core.bench.bencher import Bencher
from core.bench.metrics import Trial
from core.bench.suite import Repeats, Suite
from core.plan.propose import propose
from tests.unit.simulated import DEEP, HOSTS, Simulated

ONE = propose(DEEP, HOSTS, [], 4096)


async def measured(suite: Suite, token_s: float) -> tuple[list[Trial], list[Trial]]:
    """The warm-ups of a suite, and the trials that count."""
    bencher = Bencher(Simulated(lambda _: token_s), suite, [("auto", ONE)], DEEP.vocabulary)
    await bencher.run()
    trials = bencher.trials
    return [t for t in trials if t.warmup], [t for t in trials if not t.warmup]


async def test_short_answers_are_repeated_until_they_took_long_enough() -> None:
    warm, counted = await measured(Suite(name="s", generate=(10,)), token_s=0.02)  # 0.2 s each
    assert 3.0 <= sum(t.seconds for t in warm) < 3.3
    assert 5.0 <= sum(t.seconds for t in counted) < 5.3
    assert len({t.answers[0].ids_sha256 for t in (*warm, *counted)}) == len(warm) + len(counted)


async def test_long_answers_are_repeated_as_often_as_the_suite_says() -> None:
    repeats = Repeats(least=2, most=4, precision=0.0001)
    warm, counted = await measured(Suite(name="s", generate=(10,), repeats=repeats), token_s=1.0)
    assert (len(warm), len(counted)) == (1, 4)
    warm, counted = await measured(
        Suite(name="s", generate=(10,), repeats=Repeats(least=2, most=9, precision=0.5)), token_s=1.0
    )
    assert (len(warm), len(counted)) == (1, 2)

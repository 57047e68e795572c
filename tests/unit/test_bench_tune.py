"""The search for the best split, on a cluster that is as fast as it is told to be."""

from __future__ import annotations

import pytest

from core.bench.bencher import Bencher, BenchError
from core.bench.contenders import Contenders
from core.bench.suite import Suite
from core.bench.tune import SUITE, Tuned, Tuner, around
from core.plan.plan import Plan
from core.plan.propose import propose
from tests.unit.simulated import DEEP, HOSTS, Simulated

MADE = Contenders(DEEP, HOSTS, [], 4096, "sockets", propose(DEEP, HOSTS, [], 4096))
BASE = dict(MADE.of(Suite(name="s", plans=("even",))))["even"]
SINGLE = dict(MADE.of(Suite(name="s", plans=("single",))))["single"]


def remade(counts: tuple[int, ...]) -> Plan:
    return Contenders(DEEP, HOSTS, [], 4096, "sockets", BASE).again(list(counts))


async def search(ground: Simulated, single: Plan | None = SINGLE) -> Tuned:
    bencher = Bencher(ground, SUITE, [], DEEP.vocabulary)
    return await Tuner(bencher, BASE, single, remade).run()


def slow_second_device(split: tuple[int, ...]) -> float:
    """Seconds a token where the second device takes four times as long for a layer."""
    return 0.01 * split[0] + 0.04 * (split[1] if len(split) > 1 else 0)


async def test_the_search_finds_the_fast_split_and_proves_it() -> None:
    found = await search(Simulated(slow_second_device))
    assert found.planned == (8, 8)
    assert found.best[1] <= 2 and sum(found.best) == 16
    assert found.gain is not None and found.gain.verdict == "faster"
    assert found.reference == "a single process on a"


async def test_where_all_splits_are_alike_the_planners_stays() -> None:
    ground = Simulated(lambda split: 0.1)
    found = await search(ground)
    assert (found.best, found.gain) == ((8, 8), None)
    assert all(tried.effect is not None and tried.effect.verdict != "faster" for tried in found.tried)
    assert max(ground.launched.count(split) for split in set(ground.launched)) <= 4


async def test_a_split_that_writes_another_text_is_refused_however_fast() -> None:
    fast = (10, 6)
    found = await search(Simulated(lambda split: 0.01 if split == fast else 0.1, lies=fast))
    assert found.best == (8, 8)
    [refused] = [tried for tried in found.tried if tried.refused]
    assert refused.split == fast and "another greedy text" in refused.refused


async def test_without_a_device_for_the_whole_model_the_planners_text_counts() -> None:
    fast = (10, 6)
    found = await search(Simulated(lambda split: 0.05 if split == fast else 0.1), single=None)
    assert found.best == fast
    assert found.reference.startswith("the planner's plan")


async def test_a_planners_plan_that_writes_another_text_ends_the_search() -> None:
    with pytest.raises(BenchError, match="the planner's plan wrote another greedy text"):
        await search(Simulated(lambda split: 0.1, lies=(8, 8)))


def test_around_a_split_are_all_moves_between_neighbours() -> None:
    assert list(around((3, 2, 1), 1)) == [(2, 3, 1), (4, 1, 1), (3, 1, 2)]
    assert list(around((1, 1), 1)) == []

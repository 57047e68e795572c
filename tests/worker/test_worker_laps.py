"""Hand-overs between real ranks, without a model: what the console measures on demand."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from core.options import Options
from core.plan.plan import Backend, Plan, Stage
from core.remote.local import LocalMachine
from core.run import laps
from tests.e2e.processes import GUARD, below

LIMIT = 60.0


def plan(backend: Backend, *names: str) -> Plan:
    stages = tuple(Stage(name, at, at + 1) for at, name in enumerate(names))
    return Plan(model="m", layers=len(names), stages=stages, context=64, backend=backend)


@pytest.mark.parametrize("backend", ["sockets", "ring"])
async def test_ranks_hand_over_around_and_sum_where_they_meet_in_mlx(
    backend: Backend, tmp_path: Path
) -> None:
    machines = {name: LocalMachine(sys.executable, tmp_path) for name in "ab"}
    async with asyncio.timeout(LIMIT):
        found = await laps.measure(plan(backend, "a", "b"), machines, [], Options())
    kinds = ["lap"] if backend == "sockets" else ["lap", "sum"]
    assert [(one.kind, one.bytes, one.count) for one in found] == [
        (kind, size, count) for size, count in ((4096, 50), (2**20, 10)) for kind in kinds
    ]
    for one in found:
        assert (one.backend, one.devices) == (backend, ("a", "b"))
        assert 0 < one.p50_us <= one.worst_us
    assert below(GUARD) == []


async def test_a_rank_that_cannot_start_is_named_and_the_other_one_ended(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 9\n")
    broken.chmod(0o755)
    machines = {"a": LocalMachine(sys.executable, tmp_path), "b": LocalMachine(str(broken), tmp_path)}
    with pytest.raises(OSError, match="rank 1 on b"):
        await laps.measure(plan("sockets", "a", "b"), machines, [], Options())
    assert below(GUARD) == []


def test_what_never_meets_is_not_measured() -> None:
    assert "nobody" in laps.why_not(plan("sockets", "a"), Options())
    pair = Plan(
        model="m", layers=2, stages=(Stage("a", 0, 1, ("b",)), Stage("c", 1, 2)), context=64, backend="jaccl"
    )
    assert "never meet" in laps.why_not(pair, Options())
    assert laps.why_not(plan("ring", "a", "b"), Options()) == ""

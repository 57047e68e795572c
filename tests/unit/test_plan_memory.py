"""How many requests the planner says there is memory for, and that rank 0 keeps to it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from core.models.spec import ModelSpec
from core.plan.card import card, lines
from core.plan.memory import DEQUANTISED, MOST, UNCOUNTED, blocks, crowded, footprint
from core.plan.plan import Host, Plan
from core.plan.propose import propose, split
from core.plan.setting import Setting
from core.run.orders import orders
from core.worker.slots import Slots
from tests.unit.test_plan import GIB, SPEC, cables

CONTEXT = 4096
TOKEN = sum(SPEC.kv_bytes)


def _plan(spec: ModelSpec, *gib: float) -> tuple[Plan, list[Host]]:
    there = [Host(f"h{i}", int(size * GIB)) for i, size in enumerate(gib)]
    counts = [len(part) for part in (range(i, spec.layers, len(there)) for i in range(len(there)))]
    return split(spec, there, counts, CONTEXT, wires=cables(*(host.id for host in there))), there


def _left(spec: ModelSpec, plan: Plan, there: list[Host], width: int = 1) -> int:
    """Bytes free on the fullest device with all caches full."""
    known = {host.id: host for host in there}
    left: list[int] = []
    for stage in plan.stages:
        taken = footprint(spec, stage, known[stage.device], CONTEXT)
        caches = [
            spec.kv_bytes[i] * min(plan.tokens, (w or plan.tokens) * plan.requests)
            for i, w in enumerate(spec.windows[stage.start : stage.end], stage.start)
        ]
        left.append(taken.free + taken.cache - width * sum(caches))
    return min(left)


def test_more_memory_is_room_for_more_requests_and_never_more_than_there_is() -> None:
    sizes = (1.02, 1.1, 1.3, 1.7, 2.5, 4.0)
    plans = [_plan(SPEC, size) for size in sizes]
    for plan, there in plans:
        assert plan.context == CONTEXT <= plan.tokens <= MOST * CONTEXT
        assert _left(SPEC, plan, there) >= 0
    assert all(a.tokens < b.tokens for (a, _), (b, _) in pairwise(plans))
    assert plans[0][0].tokens < 2 * CONTEXT
    assert _plan(SPEC, 64)[0].tokens == MOST * CONTEXT
    # What is not free is free on no device: the fullest one counts.
    assert _plan(SPEC, 0.7, 64)[0].tokens < _plan(SPEC, 64, 64)[0].tokens


def test_what_others_take_of_the_memory_is_not_promised() -> None:
    plan, there = _plan(SPEC, 4)
    used = [replace(host, memory_used=2 * GIB) for host in there]
    again = crowded(SPEC, plan, used)
    assert CONTEXT < again.tokens < plan.tokens
    assert _left(SPEC, again, used) >= 0
    full = [replace(host, memory_used=4 * GIB) for host in there]
    assert (crowded(SPEC, plan, full).requests, crowded(SPEC, plan, full).tokens) == (1, CONTEXT)
    assert crowded(SPEC, plan, []).tokens == CONTEXT


def test_sliding_windows_take_no_more_than_themselves_a_request() -> None:
    windowed = replace(SPEC, windows=(128, None) * 15)
    plain, there = _plan(SPEC, 2)
    plan, _ = _plan(windowed, 2)
    assert plan.tokens > plain.tokens
    assert _left(windowed, plan, there) >= 0


def test_a_group_shares_out_the_caches() -> None:
    spec = replace(SPEC, kv_heads=2, heads=8)
    there = [Host("a", 2 * GIB), Host("b", 2 * GIB)]
    alone = crowded(spec, propose(spec, there[:1], [], CONTEXT), there)
    shared = split(spec, there, [30], CONTEXT, groups=[2], wires=cables("a", "b"))
    assert shared.tokens > 1.9 * alone.tokens


def test_packed_weights_on_a_cpu_mean_caches_of_float32() -> None:
    packed = replace(SPEC, quantization="4-bit g64")
    plan, there = _plan(packed, 2)
    assert _left(packed, plan, there, width=2) >= 0
    mac = [Host("h0", 2 * GIB + 3 * GIB, chip="Apple M4 Max")]
    assert crowded(packed, plan, mac).tokens > plan.tokens


def test_states_of_unknown_size_are_answered_as_few_at_a_time_as_is_known_to_work() -> None:
    mixed = replace(SPEC, kv_bytes=(0, 0, 0, 1536, 1536) * 6)
    plan, _ = _plan(mixed, 64)
    assert plan.requests == UNCOUNTED


def test_weights_that_may_become_float32_come_first() -> None:
    packed = replace(SPEC, quantization="4-bit g64")
    plan, there = _plan(packed, 3)
    kept = crowded(packed, plan, there, dequantised=True)
    taken = footprint(packed, plan.stages[0], there[0], CONTEXT)
    floats = int(DEQUANTISED * (taken.free + taken.weights))
    assert CONTEXT < kept.tokens < plan.tokens
    assert taken.needed - taken.weights + floats + (kept.tokens - CONTEXT) * TOKEN <= taken.usable
    mac = [Host("h0", 3 * GIB, chip="Apple M4 Max")]
    assert crowded(packed, plan, mac, dequantised=True) == crowded(packed, plan, mac)
    assert crowded(SPEC, plan, there, dequantised=True) == crowded(SPEC, plan, there)


def test_the_card_and_rank_0_are_told() -> None:
    plan, there = _plan(SPEC, 1.5)
    told = [
        line for line in lines(card(Setting(SPEC, there, [], CONTEXT), plan)) if "caches may hold" in line
    ]
    whole = plan.tokens // CONTEXT
    assert 1 < whole < MOST
    assert told == [
        f"- caches may hold {plan.tokens} tokens in all: {whole} requests of the whole context, "
        f"or more of shorter ones, at most {MOST} at a time"
    ]
    machine: Any = _Machine()
    (order,) = orders(plan, [machine], ["m"], [])
    assert (order["context"], order["cached"], order["streams"]) == (CONTEXT, plan.tokens, MOST)


class _Machine:
    def seen_from(self, _: object) -> str:
        return "127.0.0.1"


class _Caches:
    """Caches that can be cut anywhere."""

    def trim(self, keep: int) -> bool:
        return True


@pytest.mark.parametrize(("budget", "fit"), [(4096, 1), (8192, 2), (3 * 4096, 3)])
def test_so_many_requests_of_the_whole_context_have_room(budget: int, fit: int) -> None:
    made: Any = _Caches
    slots = Slots(budget, made, lambda _: None)
    taken = [slots.take([i], 4000) for i in range(4)]
    assert [one is not None for one in taken] == [i < fit for i in range(4)]


def test_short_requests_take_what_their_caches_grow_by() -> None:
    made: Any = _Caches
    slots = Slots(1024, made, lambda _: None)
    assert [slots.take([i], 20) is not None for i in range(5)] == [True] * 4 + [False]
    assert blocks(20) == 256
    tight = Slots(100, made, lambda _: None)  # a context shorter than that is one of its own
    assert [tight.take([i], 20) is not None for i in range(2)] == [True, False]

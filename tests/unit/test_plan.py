from __future__ import annotations

import pytest
from msgspec.structs import replace

from core.models.spec import ModelSpec
from core.plan.check import Held, certify, check_cover
from core.plan.memory import free, needed
from core.plan.plan import Host, PlanError
from core.plan.propose import propose, split

GIB = 2**30
SPEC = ModelSpec(
    name="toy",
    path="/nowhere",
    family="llama",
    layers=30,
    layer_bytes=(20 * 2**20,) * 30,
    embed_bytes=50 * 2**20,
    head_bytes=2**20,
    tied=True,
    hidden=576,
    heads=9,
    kv_heads=3,
    kv_bytes=(1536,) * 30,
    windows=(None,) * 30,
    vocabulary=49152,
    context=8192,
)


def hosts(*gib: float) -> list[Host]:
    return [Host(f"h{i}", int(size * GIB)) for i, size in enumerate(gib)]


def test_shares_follow_free_memory_and_cover_every_layer() -> None:
    plan = propose(SPEC, hosts(1, 2, 1), 4096)
    assert {s.device: s.layers for s in plan.stages} == {"h1": 15, "h0": 8, "h2": 7}
    check_cover([(s.start, s.end) for s in plan.stages], 30)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 30, 40])
def test_any_number_of_devices_gets_at_least_a_layer_each(count: int) -> None:
    plan = propose(SPEC, hosts(*[2 + i / 10 for i in range(count)]), 1024)
    assert sum(plan.split) == 30
    assert min(plan.split) >= 1
    assert len(plan.stages) == min(count, 30)


def test_a_share_that_does_not_fit_moves_to_where_there_is_room() -> None:
    tight = [Host("big", 4 * GIB), Host("small", 4 * GIB, 4 * GIB - 400 * 2**20)]
    plan = propose(SPEC, tight, 4096)
    for rank, stage in enumerate(plan.stages):
        host = next(h for h in tight if h.id == stage.device)
        assert needed(SPEC, plan, rank) <= free(host)


def test_no_plan_is_offered_that_does_not_fit() -> None:
    with pytest.raises(PlanError, match=r"needs about .* 2 devices have"):
        propose(SPEC, hosts(0.3, 0.3), 8192)
    with pytest.raises(PlanError, match="no device has memory free"):
        propose(SPEC, [Host("full", GIB, GIB)], 8192)


def test_a_split_that_does_not_add_up_says_so() -> None:
    with pytest.raises(PlanError, match=r"12\+10\+7 is 29 layers; toy has 30"):
        split(SPEC, hosts(2, 2, 2), [12, 10, 7], 1024)
    with pytest.raises(PlanError, match="holds no layer"):
        split(SPEC, hosts(2, 2, 2), [30, 0, 0], 1024)
    with pytest.raises(PlanError, match="names 2 stages for 3 devices"):
        split(SPEC, hosts(2, 2, 2), [15, 15], 1024)
    with pytest.raises(PlanError, match=r"h1 is .* short of memory"):
        split(SPEC, hosts(2, 0.2), [10, 20], 1024)


@pytest.mark.parametrize(
    ("ranges", "complaint"),
    [
        ([(0, 10), (11, 30)], "layers 10 to 10 are held by nobody"),
        ([(0, 10), (9, 30)], "layers 9 to 9 are held twice"),
        ([(0, 10), (10, 29)], "layers 29 to 29 are held by nobody"),
        ([(0, 10), (10, 31)], "layers 30 to 30 do not exist"),
    ],
)
def test_coverage_names_the_layers_at_fault(ranges: list[tuple[int, int]], complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        check_cover(ranges, 30)


def test_a_certificate_needs_every_rank_to_hold_what_was_planned() -> None:
    plan = split(SPEC, hosts(2, 2), [18, 12], 1024)
    held = [Held(0, "h0", 0, 18, "aa"), Held(1, "h1", 18, 30, "bb")]
    certificate = certify(plan, held)
    assert certificate.layers == 30
    assert certificate.held_sha256 != certify(plan, [held[0], replace(held[1], digest="cc")]).held_sha256
    with pytest.raises(PlanError, match="rank 1 on h1 has not said"):
        certify(plan, held[:1])
    with pytest.raises(PlanError, match="rank 1 on h1 holds layers 17 to 29, planned were 18 to 29"):
        certify(plan, [held[0], replace(held[1], start=17)])

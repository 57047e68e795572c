from __future__ import annotations

import re
from itertools import combinations

import pytest
from msgspec.structs import replace

from core.models.spec import ModelSpec
from core.plan.check import Held, certify, check_cover
from core.plan.cost import Costs, works
from core.plan.memory import footprint, usable
from core.plan.plan import Host, Plan, PlanError, Stage, Wire
from core.plan.propose import priced, propose, split
from core.plan.setting import Setting
from core.wish import Wish

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


def cables(*names: str, rtt_us: float = 100.0) -> list[Wire]:
    return [Wire(a=a, b=b, rtt_us=rtt_us) for a, b in combinations(names, 2)]


def test_one_device_that_holds_the_model_is_enough() -> None:
    plan = propose(SPEC, hosts(1, 2, 1), cables("h0", "h1", "h2"), 4096)
    assert plan.split == (30,)


def test_a_rehearsal_spreads_over_all_devices_by_memory() -> None:
    plan = propose(SPEC, hosts(1, 2, 1.5), cables("h0", "h1", "h2"), 4096, everywhere=True)
    assert {s.device: s.layers for s in plan.stages} == {"h0": 6, "h1": 14, "h2": 10}
    check_cover([(s.start, s.end) for s in plan.stages], 30)
    assert any("alone" in reason for reason in plan.why)


def test_a_rehearsal_leaves_out_a_device_behind_a_slow_link_and_says_so() -> None:
    wires = [*cables("h0", "h1"), *cables("h0", "h2", rtt_us=1e6), *cables("h1", "h2", rtt_us=1e6)]
    plan = propose(SPEC, hosts(2, 2, 2), wires, 4096, everywhere=True)
    assert [stage.device for stage in plan.stages] == ["h0", "h1"]
    assert any("h2 is left out: its link takes 1000 ms there and back; with it" in why for why in plan.why)


def test_a_smaller_budget_moves_layers_away_and_is_named() -> None:
    roomy = propose(SPEC, hosts(2, 2), cables("h0", "h1"), 4096, everywhere=True)
    tight = propose(SPEC, hosts(2, 0.5), cables("h0", "h1"), 4096, everywhere=True)
    assert tight.split[1] < roomy.split[1]
    none = propose(SPEC, hosts(2, 0.1), cables("h0", "h1"), 4096, everywhere=True)
    assert none.split == (30,)
    assert any(why.startswith("h1 is left out: 99 MiB usable holds not one layer") for why in none.why)
    full = propose(SPEC, [*hosts(2), Host("full", GIB, GIB)], [], 4096, everywhere=True)
    assert "full is left out: none of its memory is free" in full.why


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_what_no_device_holds_alone_is_shared_out(count: int) -> None:
    room = [(1.05 + i / 50) * 850 / count / 1024 + 0.3 for i in range(count)]
    plan = propose(SPEC, hosts(*room), cables(*(f"h{i}" for i in range(count))), 1024)
    assert sum(plan.split) == 30
    assert min(plan.split) >= 1
    assert len(plan.stages) >= 2
    by_id = {host.id: host for host in hosts(*room)}
    for stage in plan.stages:
        taken = footprint(SPEC, stage, by_id[stage.device], 1024)
        assert taken.needed <= usable(by_id[stage.device])


def test_no_plan_is_offered_that_does_not_fit_and_the_least_remedy_is_said() -> None:
    with pytest.raises(PlanError, match=r"needs about .* devices have .*; context \d+ fits, so does .* on h"):
        propose(SPEC, hosts(0.7, 0.7), cables("h0", "h1"), 8192)
    with pytest.raises(PlanError, match=r"needs about .*more on h. would do"):
        propose(SPEC, hosts(0.3, 0.3), cables("h0", "h1"), 8192)
    with pytest.raises(PlanError, match="no device has memory free"):
        propose(SPEC, [Host("full", GIB, GIB)], [], 8192)


def test_the_remedies_work() -> None:
    small = hosts(0.7, 0.7)
    with pytest.raises(PlanError) as caught:
        propose(SPEC, small, [], 8192)
    found = re.search(r"context (\d+) fits, so does ([\d.]+) (GiB|MiB) more on (h\d)", str(caught.value))
    assert found is not None
    propose(SPEC, small, [], int(found[1]))
    more = int(float(found[2]) * {"GiB": GIB, "MiB": 2**20}[found[3]] * 1.05)
    grown = [replace(h, memory_limit=h.memory_limit + more) if h.id == found[4] else h for h in small]
    propose(SPEC, grown, [], 8192)


def test_the_solver_and_the_footprint_agree_on_memory() -> None:
    setting = Setting(SPEC, hosts(2, 2), [], 4096)
    problem = setting.problem()
    ((_, work),) = works(problem)
    costs = Costs(problem, work)
    for start, end in ((0, 30), (0, 12), (12, 20), (20, 30)):
        taken = footprint(SPEC, Stage("h0", start, end), setting.hosts["h0"], 4096)
        spare = costs.room[0] + problem.constants.runtime_bytes - costs.need(0, start, end)
        assert spare == pytest.approx(taken.free, abs=2)


def test_a_tensor_group_is_made_of_devices_that_can_share_the_model() -> None:
    divisible = replace(SPEC, heads=8, kv_heads=2)
    plan = propose(divisible, hosts(2, 2), cables("h0", "h1"), 1024, mode="tensor")
    assert plan.stages[0].devices == ("h0", "h1")
    assert (plan.groups, plan.backend, plan.obstacle) == ((2,), "ring", "")
    with pytest.raises(PlanError, match="9 attention heads do not divide by 2; 3 devices could"):
        propose(SPEC, hosts(2, 2), cables("h0", "h1"), 1024, mode="tensor")
    strange = replace(divisible, unshared=dict.fromkeys(range(2, 9), "toy: mlx-lm cannot divide its layers"))
    with pytest.raises(PlanError, match="no tensor group is legal: toy: mlx-lm cannot divide its layers"):
        propose(strange, hosts(2, 2), cables("h0", "h1"), 1024, mode="tensor")
    with pytest.raises(PlanError, match=r"h0\+h1 cannot be a tensor group: toy: mlx-lm"):
        split(strange, hosts(2, 2), [30], 1024, groups=[2])


def test_tensor_groups_are_taken_unasked_only_over_rdma() -> None:
    divisible = replace(SPEC, heads=8, kv_heads=2)
    for kind, sizes in (("thunderbolt", (1,)), ("rdma", (2,))):
        joined = [Wire(a="h0", b="h1", kind=kind, rtt_us=12)]
        plan = propose(divisible, hosts(2, 2), joined, 1024)
        assert plan.groups == sizes, kind
        assert propose(divisible, hosts(2, 2), joined, 1024, mode="pipeline").groups == (1,)


def figures(plan: Plan) -> float:
    assert plan.forecast is not None
    return plan.forecast.decode_tps


def test_what_rdma_does_not_carry_is_planned_and_priced_without_it() -> None:
    divisible = replace(SPEC, heads=8, kv_heads=2)
    over_ip = [Wire(a="h0", b="h1", kind="ethernet", rtt_us=300)]
    joined, two = [*over_ip, Wire(a="h0", b="h1", kind="rdma")], hosts(0.8, 0.8)
    assert propose(divisible, two, joined, 1024).backend == "jaccl"
    for asked in ("sockets", "ring"):
        plan = propose(divisible, two, joined, 1024, asked=asked)
        assert (plan.groups, plan.backend) == ((1, 1), asked)
        assert figures(plan) == figures(propose(divisible, two, over_ip, 1024, asked=asked))
    group = propose(divisible, two, joined, 1024, asked="ring", mode="tensor")
    assert (group.groups, group.backend) == ((2,), "ring")
    assert figures(group) == figures(propose(divisible, two, over_ip, 1024, mode="tensor"))
    halves = [15, 15]
    by_hand = split(divisible, two, halves, 1024, wires=joined, asked="sockets")
    assert figures(by_hand) == figures(split(divisible, two, halves, 1024, wires=over_ip))
    through_ssh = Wish(tunnel=True, context=1024).plan(divisible, two, joined)
    assert (through_ssh.groups, through_ssh.backend) == ((1, 1), "sockets")
    assert figures(through_ssh) == figures(propose(divisible, two, over_ip, 1024))


def test_rdma_that_joins_some_of_a_pipeline_makes_it_no_faster() -> None:
    ethernet = [replace(wire, kind="ethernet") for wire in cables("h0", "h1", "h2", rtt_us=300)]
    three, joined = hosts(0.5, 0.5, 0.5), [*ethernet, Wire(a="h0", b="h1", kind="rdma")]
    plan, without = propose(SPEC, three, joined, 1024), propose(SPEC, three, ethernet, 1024)
    assert (len(plan.stages), plan.backend) == (3, "sockets")
    assert figures(plan) == figures(without)
    assert plan.forecast is not None and plan.forecast.gap is not None and 0 < plan.forecast.gap < 0.1


def test_a_plan_that_another_backend_carries_is_priced_anew() -> None:
    over_ip = [Wire(a="h0", b="h1", kind="ethernet", rtt_us=300)]
    joined, two = [*over_ip, Wire(a="h0", b="h1", kind="rdma")], hosts(2, 2)
    plan = split(SPEC, two, [15, 15], 1024, wires=joined)
    assert plan.backend == "jaccl"
    again = priced(SPEC, two, joined, replace(plan, backend="sockets"), ["because"])
    assert figures(again) == figures(split(SPEC, two, [15, 15], 1024, wires=over_ip)) < figures(plan)
    assert again.why[0] == "because"


def test_a_split_may_name_groups() -> None:
    divisible = replace(SPEC, heads=8, kv_heads=2)
    plan = split(divisible, hosts(2, 2, 2), [20, 10], 1024, groups=[2, 1], wires=cables("h0", "h1", "h2"))
    assert [(post.device, post.stage, post.start, post.end, post.part) for post in plan.posts] == [
        ("h0", 0, 0, 20, 0),
        ("h1", 0, 0, 20, 1),
        ("h2", 1, 20, 30, 0),
    ]
    with pytest.raises(PlanError, match="a tensor group meets in MLX's ring"):
        split(divisible, hosts(2, 2, 2), [20, 10], 1024, groups=[2, 1], asked="sockets")
    held = [Held(i, p.device, p.start, p.end, "aa", p.part, p.parts) for i, p in enumerate(plan.posts)]
    assert certify(plan, held).layers == 30
    with pytest.raises(PlanError, match="rank 1 on h1 holds part 1 of 2 of its layers, planned was part 2"):
        certify(plan, [held[0], replace(held[1], part=0), held[2]])
    with pytest.raises(PlanError, match="rank 1 on h1 holds the whole of its layers, planned was part 2"):
        certify(plan, [held[0], replace(held[1], part=0, parts=1), held[2]])
    with pytest.raises(PlanError, match="rank 2 on h2 has not said"):
        certify(plan, held[:2])


def test_a_split_that_does_not_add_up_says_so() -> None:
    with pytest.raises(PlanError, match=r"12\+10\+7 is 29 layers; toy has 30"):
        split(SPEC, hosts(2, 2, 2), [12, 10, 7], 1024)
    with pytest.raises(PlanError, match="holds no layer"):
        split(SPEC, hosts(2, 2, 2), [30, 0, 0], 1024)
    with pytest.raises(PlanError, match="names 2 stages for 3 devices"):
        split(SPEC, hosts(2, 2, 2), [15, 15], 1024)
    with pytest.raises(PlanError, match=r"h1 is .* short of memory"):
        split(SPEC, hosts(2, 0.3), [10, 20], 1024)


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

"""Where a model cannot be cut: the planner does not, the board says why, and what is asked for is refused."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from core.models.spec import Together, read
from core.plan.check import problems
from core.plan.edit import Board, EditError, first_plan
from core.plan.explain import alternatives
from core.plan.plan import PlanError
from core.plan.propose import propose, split
from core.plan.setting import Setting
from core.plan.shares import nearest
from tests.unit import modelfiles
from tests.unit.test_plan import SPEC, cables, hosts

WHY = "layers 10 to 29 share keys and values"
SHARED = replace(SPEC, family="gemma4", together=(Together(10, 29, "share keys and values"),))
RIGID = replace(SPEC, family="kimi_k3", together=(Together(0, 29, "hand on more than hidden states"),))
NAMES = ("h0", "h1", "h2")
WIRES = cables(*NAMES)


def test_it_is_read_from_the_model(tmp_path) -> None:
    text = {
        "num_hidden_layers": 6,
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 3,
    }
    config = modelfiles.LLAMA | {"model_type": "gemma4", "text_config": text}
    spec = read(modelfiles.model(tmp_path, config, modelfiles.plain(6)))
    assert spec.cuts == (1, 2)
    assert spec.uncut(4) == "layers 2 to 4 share keys and values"
    assert read(modelfiles.model(tmp_path / "llama", modelfiles.LLAMA, modelfiles.llama())).cuts == (1,)


@pytest.mark.parametrize("sizes", [(0.6, 0.85), (0.85, 0.6), (0.85, 0.6, 0.6), (1, 2, 1)])
def test_the_planner_cuts_only_where_it_can(sizes: tuple[float, ...]) -> None:
    wires = cables(*(f"h{i}" for i in range(len(sizes))))
    for everywhere in (False, True):
        plan = propose(SHARED, hosts(*sizes), wires, 1024, everywhere=everywhere)
        assert all(stage.start <= 10 for stage in plan.stages)
    if sum(sizes) < 2:
        assert len(plan.stages) > 1


def test_what_fits_only_cut_there_has_no_plan_and_the_reason_is_said() -> None:
    even = hosts(0.62, 0.62)
    assert len(propose(SPEC, even, WIRES[:1], 512).stages) == 2
    with pytest.raises(PlanError, match=r"layers 10 to 29 must be on one device; .* more on h"):
        propose(SHARED, even, WIRES[:1], 512)


def test_a_model_that_cannot_be_cut_is_put_on_one_device() -> None:
    plan = propose(RIGID, hosts(2, 2, 2), WIRES, 4096, everywhere=True)
    assert plan.split == (30,)


def test_a_split_asked_for_is_refused_where_it_cannot_be() -> None:
    with pytest.raises(PlanError, match=rf"toy \(gemma4\) cannot be cut before layer 15: {WHY}"):
        split(SHARED, hosts(2, 2), (15, 15), 1024, wires=WIRES[:1])
    assert split(SHARED, hosts(2, 2), (10, 20), 1024, wires=WIRES[:1]).split == (10, 20)


def test_a_plan_that_was_kept_or_comes_from_elsewhere_says_what_keeps_it_from_being_launched() -> None:
    made = split(SPEC, hosts(2, 2), (15, 15), 1024, wires=WIRES[:1])
    known = {host.id: host for host in hosts(2, 2)}
    (problem,) = problems(SHARED, known, dict.fromkeys(known, ""), made)
    assert problem == f"toy (gemma4) cannot be cut before layer 15: {WHY}"


def test_the_rules_of_others_are_not_promised_where_they_cut_there() -> None:
    there = hosts(2, 2)
    plan = propose(SHARED, there, WIRES[:1], 1024)
    assert plan.forecast is not None
    setting = Setting(SHARED, there, WIRES[:1], 1024)
    found = {other.name: other for other in alternatives(setting, plan.stages, plan.forecast)}
    assert found["split evenly"].tps is None
    assert WHY in found["split evenly"].note


def board(*counts: int) -> Board:
    plan = split(SHARED, hosts(*[2] * len(counts)), counts, 1024, wires=WIRES)
    return Board(plan, SHARED, dict.fromkeys((*NAMES, "h3"), ""))


def test_a_boundary_that_cannot_be_there_says_why() -> None:
    start = board(4, 6, 20)
    with pytest.raises(EditError, match=rf"no boundary before layer 12: {WHY}"):
        start.move_boundary(1, 2)
    with pytest.raises(EditError, match="no boundary before layer 20"):
        start.move_block(20, 30, "h3")
    assert start.move_boundary(1, -2).plan.split == (4, 4, 22)


def test_edits_that_choose_boundaries_themselves_choose_those_that_can_be() -> None:
    start = board(4, 6, 20)
    assert start.split_evenly().plan.split == (9, 1, 20)
    assert start.drop("h1").plan.split == (7, 23)
    assert all(stage.start <= 10 for stage in start.add("h3").stages)
    assert start.to("tensor").to("pipeline").plan.split == (9, 1, 20)
    assert first_plan(SHARED, NAMES, 1024).split == (9, 1, 20)
    whole = Board(first_plan(RIGID, NAMES, 1024), RIGID, dict.fromkeys(NAMES, ""))
    assert whole.plan.split == (30,)
    with pytest.raises(EditError, match="toy cannot be cut into 2 stages: layers 0 to 29 hand on"):
        whole.add("h1")


def test_a_board_that_came_with_such_a_boundary_can_be_mended() -> None:
    made = split(SPEC, hosts(2, 2, 2), (10, 10, 10), 1024, wires=WIRES)
    start = Board(made, SHARED, dict.fromkeys(NAMES, ""))
    moved = start.move_boundary(0, -1)
    assert moved.split_evenly().plan.split == (9, 1, 20)


def test_the_nearest_cuts_are_taken_and_none_twice() -> None:
    assert nearest([10, 20], range(1, 30)) == [10, 20]
    assert nearest([10, 20], [3, 4, 25]) == [4, 25]
    assert nearest([10, 20], [3, 4]) == [3, 4]
    assert nearest([10, 20], [3]) is None
    assert nearest([], [3]) == []

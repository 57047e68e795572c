"""What carries a plan, and what MLX is told of the cables for it: tables as MLX's own tools make them."""

from __future__ import annotations

from functools import reduce
from itertools import combinations

import pytest

from core import events as ev
from core.circumstances import circumstances, wires
from core.plan import jaccl
from core.plan.backend import choose, refit
from core.plan.plan import PlanError, Stage, Wire
from core.state import ClusterState, apply
from core.wiring import Cable, End
from core.worker.jaccl import environment


def cabled(*pairs: str) -> list[Wire]:
    """Wires of cables such as `a2-b3`: port 2 of a, port 3 of b."""
    ends: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
    for a, b in (pair.split("-") for pair in pairs):
        ends[a[0], b[0]] = (*ends.get((a[0], b[0]), ()), (f"rdma_en{a[1:]}", f"rdma_en{b[1:]}"))
    return [Wire(a=a, b=b, kind="rdma", rdma=both) for (a, b), both in ends.items()]


MESH = cabled("a2-b2", "a3-c2", "a4-d2", "b3-c3", "b4-d3", "c4-d4")
RING = cabled("a2-b2", "b4-d2", "d4-e4", "e2-c4", "c2-a4")
PAIR = cabled("a2-b2", "a3-b3")
CHAIN = cabled("a2-b2", "b3-c2")


@pytest.mark.parametrize(
    ("ranks", "between", "form", "table"),
    [
        (
            "abcd",
            MESH,
            "jaccl",
            [
                [None, "rdma_en2", "rdma_en3", "rdma_en4"],
                ["rdma_en2", None, "rdma_en3", "rdma_en4"],
                ["rdma_en2", "rdma_en3", None, "rdma_en4"],
                ["rdma_en2", "rdma_en3", "rdma_en4", None],
            ],
        ),
        (
            "abdec",
            RING,
            "jaccl-ring",
            [
                [None, "rdma_en2", None, None, "rdma_en4"],
                ["rdma_en2", None, "rdma_en4", None, None],
                [None, "rdma_en2", None, "rdma_en4", None],
                [None, None, "rdma_en4", None, "rdma_en2"],
                ["rdma_en2", None, None, "rdma_en4", None],
            ],
        ),
        ("ab", PAIR, "jaccl", [[None, "rdma_en2"], ["rdma_en2", None]]),
        ("ba", cabled("a2-b5"), "jaccl", [[None, "rdma_en5"], ["rdma_en2", None]]),
        ("abcde", RING, None, None),
        ("abc", CHAIN, None, None),
        ("ab", [Wire(a="a", b="b", kind="thunderbolt", rtt_us=700)], None, None),
    ],
    ids=["mesh of 4", "ring of 5", "two cables", "renamed ports", "ring out of order", "chain", "no RDMA"],
)
def test_cables_become_the_table_mlx_reads(ranks, between, form, table) -> None:
    lanes = jaccl.lanes(ranks, between)
    assert jaccl.form(lanes) == form
    if form is not None:
        assert jaccl.table(lanes, form) == table


def test_a_ring_uses_cables_side_by_side() -> None:
    both = ["rdma_en2", "rdma_en3"]
    assert jaccl.table(jaccl.lanes("ab", PAIR), "jaccl-ring") == [[None, both], [both, None]]
    # As many as the thinnest place has.
    thin = [*cabled("a2-b2", "a3-b3"), *cabled("b4-c2"), *cabled("c3-a4")]
    assert jaccl.table(jaccl.lanes("abc", thin), "jaccl-ring")[0] == [None, "rdma_en2", "rdma_en4"]


def test_the_environment_is_what_mlx_launch_sets() -> None:
    known = {"MLX_JACCL_COORDINATOR": "192.0.2.11:32323", "MLX_RANK": "3"}
    assert environment(3, "192.0.2.11:32323", ring=False) == known
    assert environment(3, "192.0.2.11:32323", ring=True) == known | {"MLX_JACCL_RING": "1"}


def pipeline(names: str) -> list[Stage]:
    return [Stage(name, i, i + 1) for i, name in enumerate(names)]


ALONE, GROUP, HYBRID = pipeline("a"), [Stage("a", 0, 9, ("b",))], [Stage("a", 0, 5, ("b",)), Stage("c", 5, 9)]


@pytest.mark.parametrize(
    ("stages", "between", "asked", "backend", "why"),
    [
        (pipeline("abcd"), MESH, "auto", "jaccl", "every pair"),
        (pipeline("abdec"), RING, "auto", "jaccl-ring", "all around"),
        (pipeline("abcd"), RING, "auto", "sockets", "a waiting rank sleeps"),
        (pipeline("abc"), CHAIN, "auto", "sockets", "a waiting rank sleeps"),
        (pipeline("abcd"), MESH, "ring", "ring", "as asked"),
        (pipeline("abcd"), MESH, "sockets", "sockets", "as asked"),
        (pipeline("ab"), PAIR, "jaccl", "jaccl", "untested on hardware"),
        (ALONE, MESH, "auto", "sockets", ""),
        (GROUP, PAIR, "auto", "jaccl", "RDMA: cables"),
        (GROUP, [], "auto", "ring", "a–b has no cable that is ready"),
        (HYBRID, CHAIN, "auto", "jaccl", "within each tensor group, sockets from stage to stage"),
        (HYBRID, [], "auto", "ring", "sockets from stage to stage"),
    ],
)
def test_the_backend_is_chosen_by_what_joins_the_ranks(stages, between, asked, backend, why) -> None:
    carrier = choose(stages, between, asked)
    assert carrier.backend == backend
    assert why in carrier.why


def test_a_backend_that_cannot_carry_the_plan_is_refused() -> None:
    with pytest.raises(PlanError, match="jaccl needs RDMA between its devices; a–c has no cable"):
        choose(pipeline("abc"), CHAIN, "jaccl")
    with pytest.raises(PlanError, match="sockets only join"):
        choose(GROUP, PAIR, "sockets")


def test_a_plan_changed_by_hand_keeps_its_backend_where_it_can() -> None:
    assert refit("ring", pipeline("ab"), PAIR) == "ring"
    assert refit("sockets", pipeline("ab"), PAIR) == "sockets"
    assert refit("sockets", GROUP, []) == "ring"
    assert refit("jaccl", pipeline("abc"), CHAIN) == "sockets"


def test_cables_that_are_ready_become_wires_and_a_reason_to_plan_anew() -> None:
    def cable(rdma: str) -> Cable:
        a, b = (End(device=name, port="1", interface=f"en{i}", rdma=rdma) for name, i in (("b", 3), ("a", 5)))
        return Cable(id="x", a=a, b=b, mutual=True, gbps=80)

    def after(*cables: Cable) -> ClusterState:
        devices = [
            event
            for name in "ab"
            for event in (
                ev.DeviceSeen(t=1, device=name, name=name, address=name, status="ready"),
                ev.DeviceSample(t=1, device=name, memory_total=8, memory_used=1, memory_limit=6),
            )
        ]
        return reduce(apply, [*devices, ev.CablesSeen(t=2, cables=cables)], ClusterState())

    off, ready = after(cable("off there")), after(cable("ready"))
    assert wires(off) == []
    assert wires(ready) == [Wire(a="a", b="b", kind="rdma", rdma=(("rdma_en5", "rdma_en3"),))]
    assert circumstances(off) != circumstances(ready)
    assert circumstances(ready) == circumstances(after(cable("in use")))


def test_wires_on_paper_have_no_names_and_count_as_ready() -> None:
    paper = [Wire(a=a, b=b, kind="rdma") for a, b in combinations("abc", 2)]
    assert choose(pipeline("abc"), paper).backend == "jaccl"

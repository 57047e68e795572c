"""Thirty problems whose optimum is known from other solvers: a subset DP, a flow MILP, exhaustion."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from core.plan.cost import Costs, value, works
from core.plan.instance import Answer, answer, decode
from core.plan.problem import InputError, Problem

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
PROBLEMS = decode((FIXTURES / "plan-instances.json").read_bytes())
OPTIMA = msgspec.json.decode((FIXTURES / "plan-optima.json").read_bytes())["optimum"]


def worth(problem: Problem, plan: Answer) -> float:
    """The objective of a printed plan, priced anew; asserts that it is legal."""
    assert plan.plan is not None
    worths: list[float] = []
    for repeats, work in works(problem):
        costs = Costs(problem, work)
        sequence = [costs.index[tuple(sorted(names))] for names, _, _ in plan.plan]
        cuts = [0, *(end for _, _, end in plan.plan)]
        assert [start for _, start, _ in plan.plan] == cuts[:-1]
        assert cuts[-1] == problem.model.depth
        used = [name for names, _, _ in plan.plan for name in names]
        assert len(set(used)) == len(used)
        assert costs.fits(sequence, cuts)
        total, pace = costs.total(sequence, cuts), costs.bottleneck(sequence, cuts)
        worths.append(value(problem, repeats, total, pace))
    least = min(worths)
    return problem.request.batch / least if problem.request.objective == "throughput" else least


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_the_optimum_is_found_and_proved(problem: Problem) -> None:
    known, found = OPTIMA[problem.id], answer(problem)
    assert found.feasible == known["feasible"]
    if found.feasible:
        assert found.unit == known["unit"]
        assert found.value == pytest.approx(known["value"], rel=1e-6)
        assert worth(problem, found) == pytest.approx(known["value"], rel=1e-6)
        assert found.gap == 0


def document(**changes: object) -> bytes:
    """The one-device instance with parts replaced, such as `devices=[]` or `model={…}`."""
    source = msgspec.json.decode((FIXTURES / "plan-instances.json").read_bytes())
    instance = next(i for i in source["instances"] if i["id"] == "p28")
    for name, change in changes.items():
        part = instance[name]
        instance[name] = part | change if isinstance(part, dict) and isinstance(change, dict) else change
    return msgspec.json.encode({"schema": "exo-plan/1", "instances": [instance]})


DEVICE = {"id": "a", "mem": 1e9, "bw": 1e9, "flops": 1e12}
LAYER = {"count": 1, "dense_bytes": 1, "flops": 1, "overhead": 0}


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (b"{", "not an exo-plan/1 document"),
        (b"[]", "not an exo-plan/1 document"),
        (b'{"schema": "exo-plan/2", "instances": []}', "'exo-plan/2' is unknown"),
        (b"\xff", "not an exo-plan/1 document"),
        (document(devices=[]), "length >= 1"),
        (document(devices=[DEVICE, DEVICE]), "two devices have the same id"),
        (document(devices=[DEVICE | {"mem": -1}]), "p28|instance 0"),
        (document(devices=[DEVICE | {"bw": 0}]), "> 0"),
        (document(devices=[DEVICE | {"load": 1}]), "< 1"),
        (document(links=[{"a": "a", "b": "ghost", "lat": 0, "bw": 1}], devices=[DEVICE]), "ghost"),
        (document(links=[{"a": "a", "b": "a", "lat": 0, "bw": 1}], devices=[DEVICE]), "linked to itself"),
        (document(model={"layers": []}), "length >= 1"),
        (document(model={"layers": [LAYER | {"count": 0}]}), ">= 1"),
        (document(model={"layers": [LAYER | {"dense_bytes": -1}]}), ">= 0"),
        (document(model={"layers": [LAYER | {"expert_bytes": 1}]}), "uses 0 of 0 experts"),
        (document(request={"objective": "glory"}), "glory"),
        (document().replace(b'"hidden":', b'"hidden":NaN,"x":'), "not an exo-plan/1 document"),
        (document().replace(b'"lat":', b'"lat":1e999,"x":'), "instance 0|p28|not an exo-plan/1"),
    ],
)
def test_a_document_that_cannot_be_meant_is_refused_in_one_line(bad: bytes, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        decode(bad)
    assert "\n" not in str(caught.value)


def test_a_model_that_fits_nowhere_has_no_plan() -> None:
    (problem,) = decode(document(devices=[DEVICE], links=[]))
    found = answer(problem)
    assert not found.feasible
    assert found.plan is None and found.value is None

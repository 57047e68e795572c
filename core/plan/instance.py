"""Documents of `exo-plan/1`: planning problems in, solutions out.

    {"schema": "exo-plan/1", "instances": [{id, model, devices, links, request, constants, caps}, …]}

with the fields of `core.plan.problem`; what else a document holds is ignored. JSON knows neither NaN nor
infinity, and the decoder refuses numbers out of range, so every figure is finite.
"""

from __future__ import annotations

import contextlib
import time

import msgspec

from core.plan.plan import PlanError
from core.plan.problem import InputError, Problem, check
from core.plan.solve import NoPlan, Solution, solve
from core.text import MALFORMED, clean_line

SCHEMA = "exo-plan/1"


class _Document(msgspec.Struct):
    schema: str
    instances: tuple[msgspec.Raw, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed for an instance. `plan` is `[[ids], k, j]` a stage; null if none fits, as `value`."""

    id: str
    feasible: bool
    value: float | None
    unit: str
    plan: tuple[tuple[tuple[str, ...], int, int], ...] | None
    gap: float | None
    """How far from the optimum the value can be, as a share; 0 is proved optimal."""
    seconds: float
    """What solving took."""


def decode(document: bytes) -> list[Problem]:
    """The problems of a document. Raises InputError, in one line, for anything that is none."""
    try:
        parsed = msgspec.json.decode(document, type=_Document)
    except MALFORMED as error:
        raise InputError(f"not an {SCHEMA} document: {clean_line(str(error))}") from None
    if parsed.schema != SCHEMA:
        raise InputError(f"the schema {clean_line(parsed.schema)!r} is unknown; {SCHEMA!r} is what is read")
    return [_problem(raw, number) for number, raw in enumerate(parsed.instances)]


def _problem(raw: msgspec.Raw, number: int) -> Problem:
    name = f"instance {number}"
    try:
        problem = msgspec.json.decode(raw, type=Problem)
        name = clean_line(problem.id) or name
        check(problem)
    except (*MALFORMED, PlanError) as error:
        raise InputError(f"{name}: {clean_line(str(error))}") from None
    return problem


def answer(problem: Problem) -> Answer:
    """Solve one problem."""
    started = time.perf_counter()
    throughput = problem.request.objective == "throughput"
    unit = "tokens/s" if throughput else "s"
    solution: Solution | None = None
    with contextlib.suppress(NoPlan):
        solution = solve(problem)
    seconds = time.perf_counter() - started
    if solution is None:
        return Answer(
            id=problem.id, feasible=False, value=None, unit=unit, plan=None, gap=None, seconds=seconds
        )
    return Answer(
        id=problem.id,
        feasible=True,
        value=problem.request.batch / solution.value if throughput else solution.value,
        unit=unit,
        plan=tuple((span.devices, span.start, span.end) for span in solution.spans),
        gap=solution.gap,
        seconds=seconds,
    )

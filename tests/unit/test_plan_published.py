"""The cost model against what others measured; `python -m tests.unit.published_llama` prints every row."""

from __future__ import annotations

import pytest

from tests.unit.published import LLAMA, QWEN, Row, glm_5, ultras
from tests.unit.published_llama import rows, spread

ROWS = list(rows())
BOUNDS = {
    # Median and largest error allowed for a source.
    "exo charts": (0.05, 0.10),
    "exo#1468": (0.06, 0.10),
    # Prefill of experts is what the model is worst at.
    "exo#1468 prefill": (0.30, 0.40),
    "mlx-lm#698": (0.16, 0.16),
    "exo#2070": (0.06, 0.06),
    "exo README": (0.04, 0.10),
    "llama.cpp RPC": (0.10, 0.14),
    "llama.cpp #4167": (0.035, 0.177),
    "llama.cpp #4167 prefill": (0.036, 0.15),
    # A card of another make, with the constants of Apple's.
    "prima.cpp README": (0.20, 0.25),
}


def applied(*sources: str) -> list[Row]:
    return [row for row in ROWS if row.source in sources and row.predicted is not None]


def within(found: list[Row], middle: float, most: float) -> bool:
    errors = spread(row.error for row in found)
    return errors[0] <= middle and errors[1] <= most


@pytest.mark.parametrize("source", BOUNDS)
def test_each_source_is_met_within_its_bounds(source: str) -> None:
    middle, most = BOUNDS[source]
    assert within(applied(source), middle, most)


def test_every_row_is_within_a_bound_or_says_why_there_is_none() -> None:
    for row in ROWS:
        assert row.note if row.predicted is None else row.source in BOUNDS
    assert len(ROWS) > 180


def test_tensor_groups_over_rdma_that_were_not_fitted_are_met_in_the_median_within_five_percent() -> None:
    found = [row for row in applied("exo charts") if not row.note]
    assert len(found) == 4
    assert within(found, 0.051, 0.09)


def test_all_tensor_groups_over_rdma() -> None:
    charts = [row for row in applied("exo charts", "exo#1468", "mlx-lm#698") if not row.what.endswith("on 1")]
    mlx = [row for row in applied("exo#2070") if "tensor" in row.what]
    assert within([*charts, *mlx], 0.051, 0.153)


@pytest.mark.parametrize("generation", ["M1", "M2", "M3", "M4"])
def test_the_same_constants_hold_for_every_generation_of_chips(generation: str) -> None:
    of_it = [row for row in applied("llama.cpp #4167") if row.what.startswith(generation)]
    assert within(of_it, 0.05, 0.177)


def test_a_longer_context_costs_what_it_was_measured_to_cost() -> None:
    on_two = [row for row in glm_5() if "on 2, context" in row.what]
    short, long = on_two[0], on_two[-1]
    assert short.predicted is not None and long.predicted is not None
    assert long.predicted / short.predicted == pytest.approx(long.measured / short.measured, rel=0.05)


def test_what_does_not_shrink_with_more_macs_is_why_experts_scale_worse() -> None:
    assert ultras(QWEN, 4) / ultras(QWEN, 1) < 1.7 < ultras(LLAMA, 4) / ultras(LLAMA, 1)

"""What others measured on Macs, against what the cost model predicts for the same machines.

Nothing here was measured by this project. The rows:

- exo's benchmark charts by Jeff Geerling (docs/benchmarks/jeffgeerling in the exo repository): M3 Ultra,
  80-core GPU, on one, two and four Macs, tensor parallel over RDMA. The DeepSeek bars must be 4-bit: at
  8 bits the model does not fit one of these Macs. The charts do not say how long the context was; 512
  tokens are assumed. The single-Mac rows of Qwen3 and DeepSeek are among those the constants were fitted
  to, and the all-reduce cost was fitted to Qwen3; Kimi K2 and DeepSeek on two and four are predictions.
- The same models under llama.cpp's RPC, a pipeline over TCP: what each further server adds is one
  hand-over, here the 4 ms fitted to these very rows, so they test only that hand-overs add up.
- exo's README: a dense 70B model is 1.8 times as fast on two Macs and 3.2 times on four.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from statistics import median

import pytest

from core.plan.chips import CHIPS, CONSTANTS, MEDIA
from core.plan.cost import Costs, works
from core.plan.instance import decode
from core.plan.problem import Caps, Device, Model, Problem, Request
from core.plan.problem import Path as Link

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
KNOWN = {p.id: p.model for p in decode((FIXTURES / "plan-instances.json").read_bytes())}
QWEN, DEEPSEEK, KIMI, LLAMA = KNOWN["p18"], KNOWN["p20"], KNOWN["p25"], KNOWN["p01"]

CHARTS = [
    (QWEN, 1, 19.5), (QWEN, 2, 26.2), (QWEN, 4, 31.9),
    (DEEPSEEK, 1, 21.1), (DEEPSEEK, 2, 27.8), (DEEPSEEK, 4, 32.5),
    (KIMI, 2, 21.6), (KIMI, 4, 28.3),
]  # fmt: skip
PREDICTED = [row for row in CHARTS if row[0] is KIMI or (row[0] is DEEPSEEK and row[1] > 1)]


def decode_tps(model: Model, macs: int, context: float = 512) -> float:
    """Predicted tokens a second on so many M3 Ultras joined by RDMA, tensor parallel over all of them."""
    chip, wire = CHIPS["M3 Ultra"], MEDIA["rdma"]
    devices = tuple(
        Device(id=f"m{i}", mem=1e12, bw=chip.bw, flops=chip.flops, overhead_scale=chip.overhead_scale)
        for i in range(macs)
    )
    links = tuple(
        Link(a=a.id, b=b.id, lat=wire.lat, bw=wire.bw, rdma=True) for a, b in combinations(devices, 2)
    )
    problem = Problem(
        model=model, devices=devices, links=links, request=Request(context=context), constants=CONSTANTS,
        caps=Caps(tensor=True),
    )  # fmt: skip
    ((_, work),) = works(problem)
    costs = Costs(problem, work, [tuple(range(macs))])
    return 1 / costs.total([0], [0, costs.depth])


def error(model: Model, macs: int, measured: float) -> float:
    return decode_tps(model, macs) / measured - 1


@pytest.mark.parametrize(("model", "macs", "measured"), CHARTS, ids=lambda v: getattr(v, "name", str(v)))
def test_each_bar_of_the_charts_is_met_within_a_tenth(model: Model, macs: int, measured: float) -> None:
    print(f"{model.name:16} {macs} Macs: {decode_tps(model, macs):5.1f} predicted, {measured} measured")
    assert abs(error(model, macs, measured)) < 0.10


def test_the_bars_that_were_not_fitted_are_met_in_the_median_within_five_percent() -> None:
    errors = [abs(error(*row)) for row in PREDICTED]
    assert median(errors) < 0.051
    assert max(errors) < 0.10


@pytest.mark.parametrize(
    ("alone", "servers", "measured"), [(20.4, 2, 17.2), (20.4, 4, 15.2), (14.8, 2, 16.0), (14.8, 4, 14.6)]
)
def test_hand_overs_add_up(alone: float, servers: int, measured: float) -> None:
    predicted = 1 / (1 / alone + (servers - 1) * 4e-3)
    assert abs(predicted / measured - 1) < 0.14


@pytest.mark.parametrize(("macs", "claimed"), [(2, 1.8), (4, 3.2)])
def test_the_speed_up_of_dense_models_is_met(macs: int, claimed: float) -> None:
    assert decode_tps(LLAMA, macs) / decode_tps(LLAMA, 1) == pytest.approx(claimed, rel=0.10)


def test_what_does_not_shrink_with_more_macs_is_why_experts_scale_worse() -> None:
    assert decode_tps(QWEN, 4) / decode_tps(QWEN, 1) < 1.7 < decode_tps(LLAMA, 4) / decode_tps(LLAMA, 1)

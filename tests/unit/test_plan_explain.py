from __future__ import annotations

from itertools import combinations

import pytest
from msgspec.structs import replace

from core.models.spec import ModelSpec
from core.plan.card import card, lines
from core.plan.chips import CHIPS, chip
from core.plan.explain import alternatives
from core.plan.forecast import Pricing
from core.plan.plan import Host, Plan, Wire
from core.plan.propose import propose
from core.plan.setting import Setting, model
from core.plan.solve import solve
from core.plan.whatif import with_bits, with_cable, with_context, with_host

GIB = 2**30
SPEC = ModelSpec(
    name="70B", path="/nowhere", family="llama", layers=80, layer_bytes=(909_115_392,) * 80,
    embed_bytes=1_116_340_224, head_bytes=1_116_340_224, tied=False, hidden=8192, heads=64, kv_heads=8,
    kv_bytes=(4096,) * 80, windows=(None,) * 80, vocabulary=128256, context=131072,
    quantization="8-bit g64",
)  # fmt: skip
HOSTS = [
    Host("ultra", 60 * GIB, chip="Apple M2 Ultra"),
    Host("max", 46 * GIB, chip="Apple M4 Max", cores=16),
    Host("air", 5 * GIB, chip="Apple M1"),
]
WIRES = [
    Wire(a="ultra", b="max", kind="thunderbolt", rtt_us=700),
    Wire(a="ultra", b="air", kind="wifi", rtt_us=12_000),
    Wire(a="max", b="air", kind="wifi", rtt_us=12_000),
]


def planned(
    hosts: list[Host] = HOSTS, wires: list[Wire] = WIRES, context: int = 8192
) -> tuple[Setting, Plan]:
    return Setting(SPEC, hosts, wires, context), propose(SPEC, hosts, wires, context)


def test_the_first_sentences_say_how_fast_and_where_the_time_goes() -> None:
    _, plan = planned()
    assert plan.forecast is not None
    assert f"{plan.forecast.decode_tps:.1f} tok/s predicted" in plan.why[0]
    assert "proved" in plan.why[0] and "links measured" in plan.why[0]
    assert "of each token: " in plan.why[1] and "hand-overs" in plan.why[1]
    assert any(why.startswith("air is left out: its link takes 12 ms") for why in plan.why)


def test_the_shares_of_a_token_add_up() -> None:
    _, plan = planned()
    forecast = plan.forecast
    assert forecast is not None
    total = sum(stage.busy_s + stage.hop_s for stage in forecast.stages)
    assert 1 / forecast.decode_tps == pytest.approx(total, abs=1.1e-4)


def test_why_not_lines_are_solved_anew() -> None:
    setting, plan = planned()
    assert plan.forecast is not None
    found = {other.name: other for other in alternatives(setting, plan.stages, plan.forecast)}
    assert found["one device alone"].tps is None
    rest = [HOSTS[0], HOSTS[2]]
    assert found["without max"].tps is None
    assert found["exo's rule"].gain is not None and found["exo's rule"].gain <= 0.021
    tensor = found["tensor over ultra, max"]
    assert tensor.tps is not None and tensor.note == ""
    roomier = [replace(rest[0], memory_limit=110 * GIB), *HOSTS[1:]]
    setting, plan = planned(roomier)
    assert plan.split == (80,)


def test_the_card_is_text_of_bounded_width_with_every_device() -> None:
    setting, plan = planned()
    text = lines(card(setting, plan))
    assert any("ultra" in line for line in text) and any("Why not" in line for line in text)
    assert any(line.strip().startswith("context 16384") for line in text)


def test_the_longest_context_fits_and_one_token_more_does_not() -> None:
    setting, plan = planned(context=2048)
    longest = Pricing(setting).max_context(plan.stages)
    assert 2048 <= longest < SPEC.context
    for context, fits in ((longest, True), (longest + 1, False)):
        stages = Pricing(with_context(setting, context)).forecast(plan.stages, None).stages
        assert all(memory.free >= 0 for stage in stages for memory in stage.memory) == fits


def test_what_if_changes_the_setting_and_nothing_else() -> None:
    setting, _ = planned()
    base = solve(setting.problem()).value
    assert solve(with_cable(setting, "ultra", "air").problem()).value <= base
    assert solve(with_bits(setting, 4.5).problem()).value < base
    assert solve(with_host(setting, HOSTS[0]).problem()).value < base
    assert solve(setting.problem()).value == base


def test_a_slow_link_changes_the_plan() -> None:
    three = [replace(HOSTS[i % 2], id=f"m{i}", memory_limit=45 * GIB) for i in range(3)]
    fast = [Wire(a=a.id, b=b.id, rtt_us=500) for a, b in combinations(three, 2)]
    slow = [replace(wire, rtt_us=60_000.0) if "m0" in (wire.a, wire.b) else wire for wire in fast]
    _, before = planned(three, fast)
    _, after = planned(three, slow)
    assert {s.device for s in after.stages} == {"m1", "m2"}
    assert [s.device for s in before.stages] != [s.device for s in after.stages]
    assert any("m0 is left out: its link takes 60 ms there and back" in why for why in after.why)


@pytest.mark.parametrize(
    ("named", "cores", "bandwidth"),
    [
        ("Apple M1", 8, 68.25e9),
        ("Apple M4 Max", 16, 546e9),
        ("Apple M4 Max", 14, 410e9),
        ("Apple M3 Ultra", 32, 819e9),
        ("AMD EPYC 7B13", 2, 8e9),
        ("", 0, 8e9),
    ],
)
def test_chips_are_known_by_the_name_the_system_gives(named: str, cores: int, bandwidth: float) -> None:
    assert chip(named, cores).bw == bandwidth
    assert chip(named, cores).known == (bandwidth > 9e9)


def test_every_chip_of_the_table_is_there() -> None:
    assert len(CHIPS) == 18
    assert CHIPS["M5 Max"].flops == 62e12


def test_experts_are_read_in_part() -> None:
    sparse = replace(SPEC, expert_bytes=(800_000_000,) * 80, experts=128, experts_used=8)
    (run,) = model(sparse).layers
    assert (run.dense_bytes, run.expert_bytes, run.top_k, run.n_experts) == (109_115_392, 8e8, 8, 128)
    assert run.flops < model(SPEC).layers[0].flops

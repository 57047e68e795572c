"""What the board says a plan is worth: as its own backend carries it."""

from __future__ import annotations

from functools import reduce

from msgspec.structs import replace

from core import events as ev
from core.plan.explain import alternatives
from core.plan.forecast import Pricing
from core.plan.plan import Backend, Host, Plan, Stage, Wire
from core.plan.rules import RULES
from core.plan.setting import Setting
from core.quote import Quoter
from core.state import ClusterState, apply
from core.wiring import Cable, End
from tests.unit.benches import SPEC as TOY

GIB = 2**30
SPEC = replace(
    TOY, layers=32, layer_bytes=(GIB,) * 32, hidden=4096, kv_bytes=(4096,) * 32, windows=(None,) * 32
)


def plan(backend: Backend, *counts: int) -> Plan:
    """Layers on a, then on b."""
    ends = [sum(counts[: i + 1]) for i in range(len(counts))]
    stages = [Stage(name, end - count, end) for name, end, count in zip("ab", ends, counts, strict=False)]
    return Plan(model="toy", layers=32, stages=tuple(stages), context=1024, backend=backend)


def test_a_plan_is_quoted_as_its_own_backend_carries_it() -> None:
    a, b = (End(device=name, port="1", interface="en3", rdma="ready") for name in "ab")
    cable = ev.CablesSeen(t=2, cables=(Cable(id="x", a=a, b=b, mutual=True, gbps=80),))
    there = [
        event
        for name in "ab"
        for event in (
            ev.DeviceSeen(t=1, device=name, name=name, address=name, status="ready"),
            ev.DeviceSample(t=1, device=name, memory_total=64 * GIB, memory_used=0, memory_limit=64 * GIB),
        )
    ]
    bare = reduce(apply, [*there, ev.ModelChosen(t=1, spec=SPEC)], ClusterState())
    cabled = apply(bare, cable)
    quoter = Quoter()

    def tps(state: ClusterState, backend: Backend) -> float:
        quote = quoter.quote(state, plan(backend, 16, 16), plan("sockets", 20, 12), why=False)
        assert quote.forecast is not None and quote.auto is not None
        assert quote.auto.decode_tps == others  # whatever carries the plan, that one is over IP
        return quote.forecast.decode_tps

    alone = quoter.quote(bare, plan("sockets", 20, 12), None, why=False).forecast
    assert alone is not None
    others = alone.decode_tps
    assert tps(cabled, "sockets") == tps(bare, "sockets") < tps(cabled, "jaccl")


def test_cables_that_join_some_devices_make_other_ways_to_cut_it_no_faster() -> None:
    three = [Host(name, 14 * GIB) for name in "abc"]
    ethernet = [Wire(a=a, b=b, kind="ethernet", rtt_us=300) for a, b in ("ab", "bc", "ac")]
    spec = replace(SPEC, layer_bytes=(GIB,) * 30, layers=30, kv_bytes=(4096,) * 30, windows=(None,) * 30)
    stages = [Stage("a", 0, 10), Stage("b", 10, 20), Stage("c", 20, 30)]

    def rules(wires: list[Wire]) -> dict[str, float | None]:
        setting = Setting(spec, three, wires, 1024)
        forecast = Pricing(setting.carrying(stages)).forecast(stages, None)
        found = alternatives(setting, stages, forecast)
        return {other.name: other.tps for other in found if other.name in RULES}

    assert all(rules(ethernet).values())
    assert rules([*ethernet, Wire(a="a", b="b", kind="rdma")]) == rules(ethernet)

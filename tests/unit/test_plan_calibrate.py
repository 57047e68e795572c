from __future__ import annotations

import pytest
from msgspec.structs import replace

from core.models.spec import ModelSpec
from core.plan.calibrate import Lesson, Timing, gain, learn
from core.plan.forecast import Pricing
from core.plan.plan import Host, Stage, Wire
from core.plan.propose import propose
from core.plan.setting import Setting

GIB = 2**30
SPEC = ModelSpec(
    name="toy", path="/nowhere", family="llama", layers=32, layer_bytes=(400 * 2**20,) * 32,
    embed_bytes=500 * 2**20, head_bytes=500 * 2**20, tied=False, hidden=4096, heads=32, kv_heads=8,
    kv_bytes=(4096,) * 32, windows=(None,) * 32, vocabulary=128256, context=32768,
)  # fmt: skip
HOSTS = [Host("a", 12 * GIB, chip="Apple M4"), Host("b", 12 * GIB, chip="Apple M4")]
WIRES = [Wire(a="a", b="b", kind="thunderbolt", rtt_us=600)]
STAGES = [Stage("a", 0, 16), Stage("b", 16, 32)]


def measured(setting: Setting, factor: float, tokens: int = 200) -> dict[int, Timing]:
    """Timings of a run in which a was `factor` times as slow as predicted and b as predicted."""
    pricing = Pricing(Setting(SPEC, list(setting.hosts.values()), WIRES, 10 + tokens // 2, prompt=10))
    timings: dict[int, Timing] = {}
    for place, slower in ((0, factor), (1, 1.0)):
        step = pricing.forecast(STAGES, None).stages[place].busy_s
        prefill = pricing.stage_s(STAGES, place, "prefill")
        busy = slower * (step * tokens + prefill)
        timings[place] = Timing(busy_s=busy, steps=tokens + 1, prompt=10, tokens=tokens)
    return timings


def tuned(hosts: list[Host], lessons: list[Lesson]) -> list[Host]:
    """The hosts with what was learnt."""
    by_device = {lesson.device: lesson.tuning for lesson in lessons}
    return [replace(host, tuning=by_device.get(host.id, host.tuning)) for host in hosts]


def test_a_run_as_predicted_changes_nothing() -> None:
    setting = Setting(SPEC, HOSTS, WIRES, 4096)
    for lesson in learn(setting, STAGES, measured(setting, 1.0)):
        assert lesson.measured_s == pytest.approx(lesson.predicted_s, rel=0.02)
        assert lesson.tuning.eta_bw == pytest.approx(0.83, rel=0.02)


def test_a_slow_device_is_refitted_until_prediction_meets_measurement() -> None:
    setting = Setting(SPEC, HOSTS, WIRES, 4096)
    slow, fine = learn(setting, STAGES, measured(setting, 2.0))
    assert slow.device == "a" and slow.measured_s > 1.9 * slow.predicted_s
    assert fine.measured_s == pytest.approx(fine.predicted_s, rel=0.02)
    after = Setting(SPEC, tuned(HOSTS, [slow, fine]), WIRES, 155, prompt=10)
    again = Pricing(after).forecast(STAGES, None).stages
    assert again[0].busy_s == pytest.approx(slow.measured_s, rel=0.05)
    assert after.confidence(["a", "b"]) == "measured"


def long_prompt(setting: Setting, *, told: bool) -> dict[int, Timing]:
    """Timings of a run whose prompt took 1.4 times the prediction, in more pieces; its tokens just that."""
    tokens, prompt, pieces = 60, 8000, 200
    pricing = Pricing(Setting(SPEC, HOSTS, WIRES, prompt + tokens // 2, prompt=prompt))
    timings: dict[int, Timing] = {}
    for place in (0, 1):
        decode = tokens * pricing.forecast(STAGES, None).stages[place].busy_s
        prefill = 1.4 * pricing.stage_s(STAGES, place, "prefill") * 63
        apart = {"decode_s": decode, "decode_steps": tokens} if told else {}
        timings[place] = Timing(
            busy_s=prefill + decode, steps=pieces + tokens, prompt=prompt, tokens=tokens, **apart
        )
    return timings


def test_a_long_prompt_that_is_slow_is_not_taken_for_slow_decoding() -> None:
    setting = Setting(SPEC, HOSTS, WIRES, 16384)
    lessons = learn(setting, STAGES, long_prompt(setting, told=True))
    assert len(lessons) == 2
    for lesson in lessons:
        assert lesson.measured_s == pytest.approx(lesson.predicted_s)
        assert lesson.tuning.eta_bw == pytest.approx(0.83, rel=0.01)


def test_what_a_long_prompt_took_by_prediction_alone_teaches_nothing() -> None:
    setting = Setting(SPEC, HOSTS, WIRES, 16384)
    assert learn(setting, STAGES, long_prompt(setting, told=False)) == []


def test_a_short_run_teaches_nothing() -> None:
    setting = Setting(SPEC, HOSTS, WIRES, 4096)
    assert learn(setting, STAGES, measured(setting, 2.0, tokens=49)) == []


def test_what_was_learnt_moves_layers_and_the_gain_is_known() -> None:
    roomy = [replace(host, memory_limit=host.memory_limit + 2 * GIB) for host in HOSTS]
    setting = Setting(SPEC, roomy, WIRES, 4096)
    lessons = learn(setting, STAGES, measured(setting, 3.0))
    now = Setting(SPEC, tuned(roomy, lessons), WIRES, 4096)
    plan = propose(SPEC, list(now.hosts.values()), WIRES, 4096)
    held = {stage.device: stage.layers for stage in plan.stages}
    assert held.get("a", 0) < held["b"]
    assert gain(now, STAGES, plan.stages) > 0.05
    assert plan.forecast is not None and "from this cluster's own runs" in plan.why[0]

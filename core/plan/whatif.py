"""What a change would bring: another cable, device or context, fewer bits. Each is solved anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from msgspec.structs import replace

from core.models.spec import ModelSpec
from core.plan.chips import MEDIA
from core.plan.explain import Alternative, fastest, told
from core.plan.memory import usable
from core.plan.plan import Forecast, Host, PlanError, Stage, Wire
from core.plan.setting import Setting, bits_per_weight
from core.plan.solve import NoPlan

MOST_PAIRS = 15
FAST = ("thunderbolt", "rdma", "loopback")
"""Kinds of link that one more cable would not better."""
BITS = 4.5
"""Stored bits a weight of a 4-bit model in groups of 64, with their scales and biases."""


def what_if(setting: Setting, stages: Sequence[Stage], forecast: Forecast) -> Iterator[Alternative]:
    """The changes worth trying, those to cables only where they would help."""
    used = [name for stage in stages for name in stage.devices]
    names = used if len(used) > 1 else list(setting.hosts)
    cables: list[Alternative] = []
    for a, b in list(combinations(names, 2))[:MOST_PAIRS]:
        if not any({a, b} == {w.a, w.b} and w.kind in FAST for w in setting.wires):
            changed = with_cable(setting, a, b)
            cables.append(compared(f"a Thunderbolt cable {a}–{b}", changed, forecast))
    helping = [found for found in cables if (found.gain or 0) > 0.01]
    yield from sorted(helping, key=lambda found: -(found.gain or 0))[:3]
    if cables and not helping:
        yield Alternative(name="one more cable", tps=None, gain=None, note="none would help")
    largest = max((setting.hosts[name] for name in used), key=usable)
    yield compared(f"one more {largest.id}", with_host(setting, largest), forecast)
    for factor in (2, 4):
        if setting.context * factor <= setting.spec.context:
            changed = with_context(setting, setting.context * factor)
            yield compared(f"context {setting.context * factor}", changed, forecast)
    if bits_per_weight(setting.spec) > BITS + 1:
        yield compared("the model in 4 bits", with_bits(setting, BITS), forecast)


def with_cable(setting: Setting, a: str, b: str, kind: str = "thunderbolt") -> Setting:
    """The setting with one more cable, of the latency its kind is assumed to have."""
    rtt = 2e6 * MEDIA[kind].lat
    wires = [*setting.wires, Wire(a=a, b=b, kind=kind, rtt_us=rtt)]
    return Setting(setting.spec, list(setting.hosts.values()), wires, setting.context, setting.prompt)


def with_host(setting: Setting, like: Host) -> Setting:
    """The setting with one more device like one of it, linked to the rest as is assumed of any."""
    hosts = [*setting.hosts.values(), replace(like, id=f"another {like.id}")]
    return Setting(setting.spec, hosts, setting.wires, setting.context, setting.prompt)


def with_context(setting: Setting, context: int) -> Setting:
    """The setting at another context."""
    return Setting(setting.spec, list(setting.hosts.values()), setting.wires, context, setting.prompt)


def with_bits(setting: Setting, bits: float) -> Setting:
    """The setting with the model's weights stored in so many bits each."""
    spec = setting.spec
    factor = bits / bits_per_weight(spec)

    def scaled(sizes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(round(count * factor) for count in sizes)

    smaller: ModelSpec = replace(
        spec,
        layer_bytes=scaled(spec.layer_bytes),
        expert_bytes=scaled(spec.expert_bytes),
        embed_bytes=round(spec.embed_bytes * factor),
        head_bytes=round(spec.head_bytes * factor),
        quantization="4-bit g64",
    )
    return Setting(smaller, list(setting.hosts.values()), setting.wires, setting.context, setting.prompt)


def compared(name: str, changed: Setting, forecast: Forecast) -> Alternative:
    """The best plan after a change against the forecast before it."""
    try:
        stages, tps = fastest(changed)
    except (NoPlan, PlanError):
        return Alternative(name=name, tps=None, gain=None, note="does not fit the memory")
    return Alternative(name=name, tps=tps, gain=tps / forecast.decode_tps - 1, note=told(stages))

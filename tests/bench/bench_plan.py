"""How long planning takes, how far from the optimum it can be, and what it gains over others' rules.

    python -m tests.bench.bench_plan

Prints tables; asserts nothing, for the times depend on the machine. Clusters are drawn from the chip
table with a fixed seed, so that two runs plan the same.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from statistics import median

from core.models.spec import ModelSpec
from core.plan.chips import CHIPS, CONSTANTS
from core.plan.choose import choose
from core.plan.forecast import Pricing
from core.plan.plan import Host, Stage, Wire
from core.plan.problem import Caps, Device, LayerRun, Link, Model, Problem, Request
from core.plan.rules import RULES
from core.plan.setting import Setting
from core.plan.solve import NoPlan, solve

GIB = 2.0**30
RAM = {
    "base": (8, 16, 24, 32),
    "Pro": (16, 32, 48, 64),
    "Max": (32, 64, 96, 128),
    "Ultra": (64, 128, 192, 256),
}
MEDIA = ((4e-4, 1.15e8), (3e-4, 1.15e9), (3.5e-4, 2e9), (3.5e-4, 3.5e9))
"""1 and 10 Gbit/s Ethernet, Thunderbolt 4 and 5 over TCP."""


def usable(ram: float) -> int:
    """Metal's default limit."""
    return int(ram * GIB * (0.667 if ram <= 36 else 0.75))


def problem(seed: int, devices: int, layers: int, share: float) -> Problem:
    """A cluster of random Macs, everything on Wi-Fi and half the pairs wired, and a model that fills
    `share` of its memory."""
    draw = random.Random(seed)
    macs: list[Device] = []
    for i in range(devices):
        chip = CHIPS[draw.choice(list(CHIPS))]
        kind = chip.name.split()[1] if " " in chip.name else "base"
        macs.append(
            Device(
                id=f"mac{i}",
                mem=usable(draw.choice(RAM[kind])),
                bw=chip.bw,
                flops=chip.flops,
                load=draw.choice((0, 0, 0, 0.2, 0.5)),
                overhead_scale=chip.overhead_scale,
            )
        )
    links = [
        Link(a=f"mac{a}", b=f"mac{b}", lat=lat, bw=bw)
        for a in range(devices)
        for b in range(a)
        for lat, bw in ((6e-3, 6e7), *((draw.choice(MEDIA),) if draw.random() < 0.5 else ()))
    ]
    size = share * sum(mac.mem - CONSTANTS.runtime_bytes for mac in macs) / layers
    return Problem(
        model=Model(
            hidden=8192,
            n_heads=64,
            n_kv_heads=8,
            embed_bytes=7e8,
            head_bytes=7e8,
            layers=(
                LayerRun(
                    count=layers, dense_bytes=size, kv_bytes=4096, flops=3.5 * size, attn_flops=32768,
                    overhead=36e-6,
                ),
            ),
        ),
        devices=tuple(macs),
        links=tuple(links),
        request=Request(context=8192),
        constants=CONSTANTS,
        caps=Caps(),
    )  # fmt: skip


def timed(solver: Callable[[Problem], object], devices: int, layers: int, clusters: int = 20) -> None:
    """One line: times and gaps over random clusters, the models filling 30 to 85 % of the memory."""
    seconds: list[float] = []
    processor: list[float] = []
    gaps: list[float] = []
    for seed in range(clusters):
        case = problem(seed, devices, layers, (0.3, 0.5, 0.7, 0.85)[seed % 4])
        started, used = time.perf_counter(), time.process_time()
        try:
            found = solver(case)
        except NoPlan:
            continue
        seconds.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
        gaps.append(getattr(found, "gap", 0.0))
    proved = sum(gap == 0 for gap in gaps)
    print(
        f"{devices:3} devices x {layers:3} layers, {len(gaps)} clusters: "
        f"{median(seconds) * 1e3:5.0f} ms median {max(seconds) * 1e3:5.0f} most "
        f"(processor {median(processor) * 1e3:.0f}, {max(processor) * 1e3:.0f}); "
        f"gap {median(gaps):.2%} median {max(gaps):.2%} most, {proved} proved optimal"
    )


MODELS = {
    # layers, GB a layer, hidden, heads, KV heads, routed experts' GB, experts, used
    "Llama 70B 8-bit": (80, 0.909, 8192, 64, 8, 0.0, 0, 0),
    "Qwen2.5 72B 4-bit": (80, 0.494, 8192, 64, 8, 0.0, 0, 0),
    "Qwen3 235B 4-bit": (94, 1.400, 4096, 64, 4, 1.359, 128, 8),
    "Qwen3 32B 4-bit": (64, 0.274, 5120, 64, 8, 0.0, 0, 0),
    "Qwen3 30B-A3B 4-bit": (48, 0.351, 2048, 32, 4, 0.340, 128, 8),
}


def spec(name: str) -> ModelSpec:
    """A model of the table as its headers would describe it."""
    layers, size, hidden, heads, kv_heads, experts, count, used = MODELS[name]
    return ModelSpec(
        name=name, path="", family="", layers=layers, layer_bytes=(int(size * 1e9),) * layers,
        embed_bytes=int(7e8), head_bytes=int(7e8), tied=False, hidden=hidden, heads=heads, kv_heads=kv_heads,
        kv_bytes=(kv_heads * 128 * 4,) * layers, windows=(None,) * layers, vocabulary=152064,
        context=32768, quantization="4-bit g64",
        expert_bytes=(int(experts * 1e9),) * layers if count else (), experts=count, experts_used=used,
    )  # fmt: skip


def household(seed: int) -> tuple[list[Host], list[Wire]]:
    """Two to six Macs as people own them, on Wi-Fi, some of them wired."""
    draw = random.Random(1000 + seed)
    hosts: list[Host] = []
    for i in range(draw.randint(2, 6)):
        chip = CHIPS[draw.choice([name for name in CHIPS if name not in ("M1", "M2")])]
        kind = chip.name.split()[1] if " " in chip.name else "base"
        hosts.append(Host(f"mac{i}", usable(draw.choice(RAM[kind])), chip=f"Apple {chip.name}"))
    kinds = (
        ("wifi", 12e3, 6e7),
        ("ethernet", 800.0, 1.15e8),
        ("ethernet", 600.0, 1.15e9),
        ("thunderbolt", 700.0, 2e9),
    )
    wires = [
        Wire(a=a.id, b=b.id, kind=kind, rtt_us=rtt, rate=rate)
        for i, a in enumerate(hosts)
        for b in hosts[:i]
        for kind, rtt, rate in (draw.choice(kinds),)
    ]
    return hosts, wires


def compared(clusters: int = 40) -> None:
    """Predicted decoding speed of our plan against the same model split by others' rules."""
    ratios: dict[str, list[float]] = {name: [] for name in RULES}
    misfits = dict.fromkeys(RULES, 0)
    planned = 0
    for seed in range(clusters):
        hosts, wires = household(seed)
        for name in MODELS:
            setting = Setting(spec(name), hosts, wires, 8192)
            try:
                ours = choose(setting.problem())
            except NoPlan:
                continue
            planned += 1
            pricing = Pricing(setting)
            mine = pricing.decode_s([Stage(span.devices[0], span.start, span.end) for span in ours.spans])
            for rule, split in RULES.items():
                stages = split(setting)
                forecast = pricing.forecast(stages, None)
                if any(memory.free < 0 for stage in forecast.stages for memory in stage.memory):
                    misfits[rule] += 1
                else:
                    ratios[rule].append(pricing.decode_s(stages) / mine)
    print(f"{planned} plans on {clusters} households: times as fast as")
    for rule, found in ratios.items():
        print(
            f"  {rule:24} {median(found):5.2f} median {min(found):5.2f} worst {max(found):5.2f} best, where "
            f"its plan fits; it does not in {misfits[rule]}"
        )


def main() -> None:
    """Print everything."""
    solve(problem(0, 4, 32, 0.5))  # warm
    print("the fastest plan")
    timed(solve, 10, 80)
    timed(solve, 12, 80)
    timed(solve, 32, 128)
    print("the plan offered: ties to fewer stages, then room")
    timed(choose, 10, 80)
    timed(choose, 12, 80)
    timed(choose, 32, 128)
    compared()


if __name__ == "__main__":
    main()

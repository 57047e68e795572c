"""How others would split: for comparison only. Each rule gives layers per device, in order."""

from __future__ import annotations

from core.plan import memory
from core.plan.plan import Stage
from core.plan.setting import Setting
from core.plan.shares import proportional


def _stages(names: list[str], counts: list[int]) -> list[Stage]:
    stages: list[Stage] = []
    start = 0
    for name, count in zip(names, counts, strict=True):
        stages.append(Stage(name, start, start + count))
        start += count
    return stages


def exo(setting: Setting) -> list[Stage]:
    """exo: the fewest devices whose free memory adds up to the weights, of those with the most memory;
    layers in proportion to it (placement.py, placement_utils.py)."""
    spec = setting.spec
    free = {name: memory.usable(host) for name, host in setting.hosts.items()}
    order = sorted(free, key=lambda name: -free[name])[: spec.layers]
    weights = memory.weights(spec, 0, spec.layers)
    count = next((n for n in range(1, len(order)) if sum(free[d] for d in order[:n]) >= weights), len(order))
    chosen = order[:count]
    return _stages(chosen, proportional([free[name] for name in chosen], spec.layers))


def llama_cpp(setting: Setting) -> list[Stage]:
    """llama.cpp: all devices, layers in proportion to free memory."""
    free = {name: memory.usable(host) for name, host in setting.hosts.items()}
    names = list(free)[: setting.spec.layers]
    return _stages(names, proportional([free[name] for name in names], setting.spec.layers))


def even(setting: Setting) -> list[Stage]:
    """mlx-lm: all devices, layers evenly."""
    names = list(setting.hosts)[: setting.spec.layers]
    return _stages(names, proportional([1.0] * len(names), setting.spec.layers))


RULES = {"exo's rule": exo, "in proportion to memory": llama_cpp, "split evenly": even}

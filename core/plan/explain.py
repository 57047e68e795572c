"""Why a plan is as it is, in sentences; every comparison is solved anew, none is a rule of thumb."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.plan import memory
from core.plan.check import misplaced
from core.plan.chips import chip
from core.plan.cost import Costs, works
from core.plan.forecast import Pricing
from core.plan.plan import Forecast, PlanError, Stage
from core.plan.problem import Caps, Span
from core.plan.ranges import Limits, evaluate
from core.plan.rules import RULES
from core.plan.setting import Setting
from core.plan.solve import NoPlan, solve
from core.plan.tensor import best_group
from core.text import size

SLOW_LINK_US = 5_000
"""A round trip above this is named as the reason a device is left out."""
MOST_HYBRID = 6
"""Devices up to which pipelines of tensor groups are compared."""
WORTH_SAYING = 0.05


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """Another way to run the model. `tps` is its predicted decoding speed, None where it cannot run."""

    name: str
    tps: float | None
    gain: float | None
    """Its speed relative to the plan's, such as -0.2."""
    note: str = ""

    @property
    def line(self) -> str:
        """One line for a person."""
        if self.tps is None or self.gain is None:
            return f"{self.name}: {self.note}"
        change = "same speed" if abs(self.gain) < 0.005 else f"{self.gain:+.0%}"
        return f"{self.name}: {speed(self.tps)} ({change}){'; ' + self.note if self.note else ''}"


def speed(tps: float) -> str:
    """Tokens a second with two or three digits."""
    return f"{tps:.1f} tok/s" if tps < 100 else f"{tps:.0f} tok/s"


def as_stages(spans: Sequence[Span]) -> list[Stage]:
    """The stages of a solution."""
    return [Stage(span.devices[0], span.start, span.end, span.devices[1:]) for span in spans]


def told(stages: Sequence[Stage]) -> str:
    """Stages in few words, such as `a+b 12, c 8`."""
    return ", ".join(f"{'+'.join(stage.devices)} {stage.layers}" for stage in stages)


def reasons(setting: Setting, stages: Sequence[Stage], forecast: Forecast) -> list[str]:
    """What to say of a plan, the most telling first."""
    used = [setting.hosts[name] for stage in stages for name in stage.devices]
    guessed = any(not chip(host.chip).known and host.tuning is None for host in used)
    said = [headline(forecast, guessed=guessed), where_time_goes(stages, forecast)]
    said += left_out(setting, stages, forecast)
    said += full(setting, stages)
    if len(setting.hosts) > 1 and len(stages) > 1:
        best = alone(setting, forecast)
        if best.gain is not None and best.gain > WORTH_SAYING:
            said.append(f"{best.line}; the layers are spread over the devices all the same")
        else:
            said.append(best.line)
    return said


def headline(forecast: Forecast, *, guessed: bool = False) -> str:
    """Speed, first token, how sure. `guessed`: a chip is in no table and nothing was learnt of it."""
    basis = {
        "measured": "±10 %, from this cluster's own runs",
        "links measured": f"links measured, devices {'guessed' if guessed else 'by table'}",
        "priors": "a guess: nothing measured, chip unknown" if guessed else "an estimate from tables",
    }[forecast.confidence]
    proof = {None: "", 0.0: ", proved fastest"}.get(
        forecast.gap, f", proved within {forecast.gap or 0:.1%} of the fastest"
    )
    return (
        f"{speed(forecast.decode_tps)} predicted once the context is full{proof}; first token after "
        f"{forecast.ttft_s:.1f} s of {forecast.prompt} prompt tokens ({basis})"
    )


def where_time_goes(stages: Sequence[Stage], forecast: Forecast) -> str:
    """Each stage's share of a token, and the network's."""
    total = 1 / forecast.decode_tps
    parts = [
        f"{timed.busy_s / total:.0%} {'+'.join(stage.devices)}'s {_layers(stage.layers)}"
        for stage, timed in zip(stages, forecast.stages, strict=True)
    ]
    hops = sum(timed.hop_s for timed in forecast.stages)
    if len(stages) > 1:
        parts.append(f"{hops / total:.0%} hand-overs")
    return f"of each token: {', '.join(parts)}"


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def left_out(setting: Setting, stages: Sequence[Stage], forecast: Forecast) -> list[str]:
    """Why each device that is not in the plan is not."""
    return [f"{name} is left out{why}" for name, why in outsiders(setting, stages, forecast).items()]


def outsiders(setting: Setting, stages: Sequence[Stage], forecast: Forecast) -> dict[str, str]:
    """By device that is not in the plan: the reason, as it follows "left out"."""
    used = {name for stage in stages for name in stage.devices}
    found = {name: ": none of its memory is free" for name in setting.crowded}
    for name, host in setting.hosts.items():
        if name in used:
            continue
        room = memory.usable(host) - memory.runtime(host) - memory.workspace(setting.spec, setting.context)
        layer = min(setting.spec.layer_bytes)
        if room < layer:
            found[name] = f": {size(memory.usable(host))} usable holds not one layer"
            continue
        trips = [w.rtt_us for w in setting.wires if name in (w.a, w.b) and w.rtt_us is not None]
        slow = (
            f": its link takes {min(trips) / 1e3:.0f} ms there and back"
            if trips and min(trips) > SLOW_LINK_US
            else ""
        )
        with_it = including(setting, stages, name)
        if with_it is None:
            found[name] = slow or ": it has no link to the others"
        else:
            change = with_it / forecast.decode_tps - 1
            found[name] = f"{slow}; with it {speed(with_it)} ({change:+.0%})"
    return found


def including(setting: Setting, stages: Sequence[Stage], name: str) -> float | None:
    """Tokens a second of the best plan that puts one more device into this one, wherever it does least
    harm and with the ranges chosen anew; None if there is none."""
    problem = setting.problem()
    index = {device.id: i for i, device in enumerate(problem.devices)}
    groups = [tuple(index[d] for d in stage.devices) for stage in stages] + [(index[name],)]
    ((_, work),) = works(problem)
    costs = Costs(problem, work, groups)
    order = tuple(range(len(stages)))
    ways = [(*order[:i], len(stages), *order[i:]) for i in range(len(stages) + 1)]
    best = float(evaluate(Limits(costs), ways).min())
    return None if best == float("inf") else 1 / best


def full(setting: Setting, stages: Sequence[Stage]) -> list[str]:
    """The devices whose memory allows no further layer."""
    if len(stages) == 1:
        return []
    names: list[str] = []
    for stage in stages:
        layer = max(setting.spec.layer_bytes) // len(stage.devices)
        for name in stage.devices:
            taken = memory.footprint(setting.spec, stage, setting.hosts[name], setting.context)
            if taken.free < layer:
                names.append(f"{name} has memory for no more than its {_layers(stage.layers)}")
    return names


def alone(setting: Setting, forecast: Forecast) -> Alternative:
    """The best single device."""
    try:
        solution = solve(setting.problem(caps=Caps(max_stages=1)))
    except NoPlan:
        return _alternative("one device alone", None, forecast, "none has memory for the model")
    return _alternative(f"{solution.spans[0].devices[0]} alone", 1 / solution.value, forecast, "")


def alternatives(setting: Setting, stages: Sequence[Stage], forecast: Forecast) -> list[Alternative]:
    """The ways not taken: without each device, one device, tensor, hybrid, the rules of others."""
    found: list[Alternative] = []
    if len(setting.hosts) > 1:
        found.append(alone(setting, forecast))
        for name in (name for stage in stages for name in stage.devices):
            less = setting.among([host for host in setting.hosts if host != name])
            found.append(_resolved(less, f"without {name}", forecast, Caps()))
        found.append(_tensor(setting, forecast))
    if 2 < len(setting.hosts) <= MOST_HYBRID:
        caps = Caps(tensor=True, hybrid=True)
        found.append(_resolved(setting, "with tensor groups as stages", forecast, caps))
    for name, rule in RULES.items():
        split = rule(setting)
        pricing = Pricing(setting.carrying(split))
        figures = pricing.forecast(split, None) if pricing.decode_s(split) < float("inf") else None
        fits = figures and all(m.free >= 0 for stage in figures.stages for m in stage.memory)
        refused = misplaced(setting.spec, split)
        tps = figures.decode_tps if figures and fits and not refused else None
        why = refused[0] if refused else "" if fits else "does not fit the memory"
        found.append(_alternative(name, tps, forecast, why))
    return found


def _resolved(setting: Setting, name: str, forecast: Forecast, caps: Caps) -> Alternative:
    try:
        stages, tps = fastest(setting, caps)
    except (NoPlan, PlanError):
        return _alternative(name, None, forecast, "does not fit the memory")
    if caps.hybrid and not any(stage.members for stage in stages):
        return _alternative(name, None, forecast, "none would be used")
    return _alternative(name, tps, forecast, told(stages) if caps.hybrid else "")


def fastest(setting: Setting, caps: Caps = Caps()) -> tuple[list[Stage], float]:  # noqa: B008
    """The best stages and their tokens a second, as what can carry them does. Raises NoPlan and PlanError."""
    solution = solve(setting.problem(caps=caps))
    stages = as_stages(solution.spans)
    carried = setting.carrying(stages)
    if carried.wires == setting.wires:
        return stages, 1 / solution.value
    stages = as_stages(solve(carried.problem(caps=caps)).spans)  # RDMA, which carries none of it, led astray
    return stages, 1 / Pricing(setting.carrying(stages)).decode_s(stages)


def _tensor(setting: Setting, forecast: Forecast) -> Alternative:
    try:
        (stage,) = best_group(setting)
    except PlanError as error:
        return _alternative("tensor", None, forecast, str(error))
    tps = 1 / Pricing(setting.carrying([stage])).decode_s([stage])
    return _alternative(f"tensor over {', '.join(stage.devices)}", tps, forecast, "")


def _alternative(name: str, tps: float | None, forecast: Forecast, note: str) -> Alternative:
    gain = None if tps is None else tps / forecast.decode_tps - 1
    return Alternative(name=name, tps=tps, gain=gain, note=note)

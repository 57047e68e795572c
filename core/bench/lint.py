"""What speaks against a result, and against setting two beside each other. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Literal

import msgspec

from core.bench.card import Card, RankCard
from core.bench.metrics import Trial, telling
from core.bench.stats import variance
from core.bench.table import rows
from core.models import fingerprint

BUSY = 0.5
"""Load a core at the start from which the machine was not idle."""
LATER = 1.5
"""A link whose round trip grew so much while measuring is told of."""
JUMP_S = 0.1
STEADY = 0.15
"""Spread of the runs of one launch, as a share, from which the machine itself was not steady: a slow patch of
some seconds is told apart from nothing else. Undisturbed sessions of `python -m tests.bench.believed` stay
under 0.11, those with a patch at half speed are over 0.2."""
TOLD = 4
"""Runs that tell whether they are steady."""

VERSIONS: dict[str, Callable[[RankCard], str]] = {
    "Python": lambda rank: rank.python,
    "mlx": lambda rank: rank.mlx,
    "mlx-lm": lambda rank: rank.mlx_lm,
}
"""Of a rank; the console's own packages are told apart."""

Weight = Literal["not comparable", "with care", "missing"]


class Finding(msgspec.Struct, frozen=True):
    """A reason in a sentence: results must not be compared, or only with care, or something is not known."""

    weight: Weight
    text: str


def doubts(card: Card) -> list[Finding]:
    """What a reader of one result has to know."""
    return [*_unknown(card), *_disturbed(card)]


def unsteady(trials: Sequence[Trial]) -> list[Finding]:
    """Launches whose runs of one and the same thing went at different speeds."""
    asked = (row for row in rows(trials) if row.point)
    return [finding for row in asked for finding in _unsteady(row.plan, row.label, row.trials)]


def _unsteady(plan: str, label: str, trials: Sequence[Trial]) -> Iterator[Finding]:
    metric = telling(trials[0].point)
    for _, launch in groupby(trials, lambda trial: trial.launch):
        # Not above 0: a clock was set back meanwhile, or there was nothing to measure.
        found = [value for trial in launch if (value := metric.of(trial)) is not None and value > 0]
        spread = math.sqrt(variance([math.log(value) for value in found]))
        if len(found) >= TOLD and spread > STEADY:
            few, many = f"{min(found):.3g}", f"{max(found):.3g} {metric.unit}"
            text = f"{plan}, {label}: not steady, its runs went from {few} to {many}"
            yield Finding("with care", text)


def _unknown(card: Card) -> Iterator[Finding]:
    if not card.suite:
        yield Finding("missing", "no suite: prompt lengths, context and concurrency were whatever was asked")
    if not card.model_sha256:
        yield Finding("missing", "no fingerprint of the model's files")
    if not card.trials:
        yield Finding("missing", "no complete trial")
    for plan in card.plans:
        if not plan.held_sha256:
            yield Finding("missing", f"{plan.name}: no certificate of what its ranks held")
    for device in card.devices:
        if device.load is None:
            yield Finding("missing", f"{device.name}: its load is not known")
    if any(link.used and link.during_us is None for link in card.links):
        yield Finding("missing", "no round trip was measured while the suite ran")


def _disturbed(card: Card) -> Iterator[Finding]:
    if card.faults:
        yield Finding("not comparable", f"{card.faults} faults were injected on purpose")
    if card.drift > JUMP_S:
        yield Finding("not comparable", f"the console's clock was set back by {card.drift:.1f} s")
    if card.truncated:
        yield Finding("with care", "the recording was cut short")
    for plan in card.plans:
        for device, made in card.of(plan.name).ranks.items():
            if len(made) > 1:
                told = "; ".join(rank.told for rank in made)
                yield Finding("with care", f"{plan.name}: launches had other ranks on {device}: {told}")
    if card.failed:
        yield Finding("with care", f"{card.failed} trials failed and are left out")
    rehearsed = [device for device in card.devices if device.budget]
    if rehearsed:
        yield Finding("with care", "a rehearsal: all devices share the cores of one machine")
    for device in rehearsed[:1] or card.devices:
        if device.load is not None and device.cores and device.load / device.cores > BUSY:
            yield Finding(
                "with care",
                f"{device.name} was busy at the start: load {device.load:.1f} on {device.cores} cores",
            )
    for link in card.links:
        if link.used and link.before_us and link.during_us and link.during_us > LATER * link.before_us:
            slower = link.during_us / link.before_us
            yield Finding(
                "with care", f"{link.source}→{link.target} was {slower:.1f} times slower while measuring"
            )


def between(a: Card, b: Card) -> list[Finding]:
    """Why two results must not be compared, or only with care."""
    return [*_other_subject(a, b), *_other_conditions(a, b)]


def _other_subject(a: Card, b: Card) -> Iterator[Finding]:
    if a.model_sha256 and b.model_sha256:
        if a.model_sha256 != b.model_sha256:
            yield Finding("not comparable", f"other weights: {_model(a)} and {_model(b)}")
    elif (a.model, a.quantization, a.layers) != (b.model, b.quantization, b.layers):
        yield Finding("not comparable", f"other models: {_model(a)} and {_model(b)}")
    if a.suite_sha256 != b.suite_sha256:
        if not a.suite or not b.suite:
            yield Finding("not comparable", "one of them holds no suite: its requests had other lengths")
        elif not set(a.points) & set(b.points):
            yield Finding("not comparable", "the suites have no point in common")
        else:
            yield Finding("with care", "other suites: only the points both have are compared")
    if a.sampling != b.sampling:
        yield Finding("not comparable", "tokens were chosen in another way")
    ours, theirs = dict(_cached(a)), dict(_cached(b))
    for point in ours.keys() & theirs.keys():
        if ours[point] != theirs[point]:
            text = f"other cache state at {point}: {ours[point]} and {theirs[point]} prompt tokens"
            yield Finding("not comparable", text)


def _other_conditions(a: Card, b: Card) -> Iterator[Finding]:
    if a.kv_bits != b.kv_bits:
        yield Finding("with care", f"the KV cache was kept otherwise: {a.keeping} and {b.keeping}")
    yield from _other_ranks(a, b)
    for name in sorted(a.software.keys() | b.software.keys()):
        ours, theirs = a.software.get(name, "none"), b.software.get(name, "none")
        if ours != theirs:
            yield Finding("with care", f"other versions of {name}: {ours} and {theirs}")
    if any(d.budget for d in a.devices) != any(d.budget for d in b.devices):
        yield Finding("not comparable", "one of them is a rehearsal")
    contexts = [{plan.context for plan in card.plans} for card in (a, b)]
    if contexts[0] != contexts[1]:
        yield Finding("with care", "room was made for contexts of other lengths")
    launched = [sorted({plan.options or "the defaults" for plan in card.plans}) for card in (a, b)]
    if launched[0] != launched[1]:
        told = " and ".join("; ".join(one) for one in launched)
        yield Finding("with care", f"ranks were launched with other options: {told}")
    loads = [[device.load or 0.0 for device in card.devices] for card in (a, b)]
    cores = min((device.cores for card in (a, b) for device in card.devices if device.cores), default=1)
    if loads[0] and loads[1] and abs(max(loads[0]) - max(loads[1])) > BUSY * cores:
        yield Finding("with care", f"other load at the start: {max(loads[0]):.1f} and {max(loads[1]):.1f}")


def _other_ranks(a: Card, b: Card) -> Iterator[Finding]:
    for name, version in VERSIONS.items():
        ours, theirs = (
            sorted({version(rank) for made in card.ranks.values() for rank in made}) for card in (a, b)
        )
        if ours and theirs and ours != theirs:
            told = " and ".join(" or ".join(one) for one in (ours, theirs))
            yield Finding("with care", f"other versions of {name} on the devices: {told}")
    otherwise: dict[str, list[str]] = {}
    for device in sorted(a.ranks.keys() & b.ranks.keys()):
        ours, theirs = (dict.fromkeys(rank.manner for rank in card.ranks[device]) for card in (a, b))
        if ours != theirs:
            told = " and ".join("; ".join(one) for one in (ours, theirs))
            otherwise.setdefault(told, []).append(device)
    for told, devices in otherwise.items():
        yield Finding("with care", f"ranks on {', '.join(devices)} computed otherwise: {told}")


def _model(card: Card) -> str:
    return f"{card.model} ({card.quantization}, {fingerprint.told(card.model_sha256, 8)})"


def _cached(card: Card) -> Iterator[tuple[str, str]]:
    for line in card.cache:
        point, told = line.split(": ", 1)
        yield point, told

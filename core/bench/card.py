"""What a result comes from, as a card: to be kept with it, compared and read. Pure."""

from __future__ import annotations

import time

import msgspec
from msgspec.structs import replace

from core.bench.suite import Choosing
from core.models import fingerprint

GIB = 2**30


class DeviceCard(msgspec.Struct, frozen=True, kw_only=True):
    """A device as it was when measuring began."""

    name: str
    chip: str
    cores: int
    memory: int
    """What ranks may use, bytes."""
    budget: bool
    """The memory is one a rehearsal gave it: all such devices share one machine."""
    system: str
    load: float | None
    """One-minute load average at the start."""
    swap: int | None
    celsius: float | None = None
    watts: float | None = None
    """Temperature and power at the start, where the device tells them."""


class LinkCard(msgspec.Struct, frozen=True, kw_only=True):
    """A link: its path, and its round trips before and while measuring (median and worst p99 of bursts)."""

    source: str
    target: str
    kind: str
    address: str
    before_us: float | None
    during_us: float | None
    worst_us: float | None
    used: bool
    """Two neighbours of a measured plan hand over to each other on it."""


class RankCard(msgspec.Struct, frozen=True, kw_only=True):
    """What a rank said it is made of, on its device."""

    device: str
    python: str
    mlx: str
    mlx_lm: str
    compute: str
    """`gpu` or `cpu`."""
    blas: str = ""
    """What it multiplies matrices with on a CPU, where that is not MLX's own."""
    dequantised: bool = False
    """Its quantised weights were made float32, as that measured as faster."""

    @property
    def manner(self) -> str:
        """How it computes, in words."""
        words = (self.compute, self.blas and f"BLAS {self.blas}", "weights made float32" * self.dequantised)
        return ", ".join(filter(None, words))

    @property
    def told(self) -> str:
        """All of it in words, but for the device."""
        return f"{self.manner}, Python {self.python}, mlx {self.mlx}, mlx-lm {self.mlx_lm}"


class PlanCard(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that was measured, and the proof of what its ranks held."""

    name: str
    split: str
    backend: str
    context: int
    forecast_tps: float | None
    plan_sha256: str
    held_sha256: str
    launches: int
    launch_s: float
    load_s: float
    """Means over its launches, seconds."""
    options: str = ""
    """What it was launched with beside the defaults."""
    ranks: tuple[RankCard, ...] = ()
    """In order. A device is there again for each launch that had its rank made of something else."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """The provenance of what one recording holds."""

    started: float
    model: str
    quantization: str
    layers: int
    kv_bits: int
    """Of a cached number; 0 where the cache is not quantised."""
    model_sha256: str
    suite: str
    suite_sha256: str
    sampling: Choosing | None
    points: tuple[str, ...]
    cache: tuple[str, ...]
    """For each point how many of its prompt tokens were found in a cache."""
    devices: tuple[DeviceCard, ...]
    links: tuple[LinkCard, ...]
    plans: tuple[PlanCard, ...]
    software: dict[str, str]
    """The console's packages; those of a device are what its ranks say."""
    trials: int
    failed: int
    faults: int
    """Faults that were injected on purpose."""
    drift: float
    """By how many seconds the console's clock was set back at most, against its one-second ticks."""
    truncated: bool

    @property
    def keeping(self) -> str:
        """How keys and values are kept, in words."""
        return f"in {self.kv_bits} bits" if self.kv_bits else "not quantised"

    @property
    def ranks(self) -> dict[str, list[RankCard]]:
        """What the ranks of each device were made of."""
        made: dict[str, dict[RankCard, None]] = {}
        for plan in self.plans:
            for rank in plan.ranks:
                made.setdefault(rank.device, {})[rank] = None
        return {device: list(ranks) for device, ranks in made.items()}

    def of(self, plan: str) -> Card:
        """What there is to say of one of its plans."""
        return replace(self, plans=tuple(one for one in self.plans if one.name == plan))


def lines(card: Card) -> list[tuple[str, str]]:
    """The card, as pairs of a word and what it says."""
    model = f"{card.model}, {card.quantization}, {card.layers} layers"
    told = [
        ("model", f"{model}, KV cache {card.keeping}, {fingerprint.told(card.model_sha256, 16)}"),
        ("suite", f"{card.suite}, sha256 {card.suite_sha256[:16]}" if card.suite else "none"),
    ]
    if card.sampling is not None:
        chosen = "greedy" if card.sampling.temperature == 0 else f"temperature {card.sampling.temperature:g}"
        told.append(("sampling", f"{chosen}, answers of fixed length"))
    told += [("from cache", point) for point in card.cache]
    told += [("device", _device(device)) for device in card.devices]
    told += [("ranks", text) for text in _ranks(card)]
    told += [("link", _link(link)) for link in card.links if link.used]
    for plan in card.plans:
        forecast = f", forecast {plan.forecast_tps:.1f} tok/s" if plan.forecast_tps else ""
        options = f", {plan.options}" if plan.options else ""
        told.append(
            (
                "plan",
                f"{plan.name}: {plan.split}, {plan.backend}, context {plan.context}{options}{forecast}; "
                f"launch {plan.launch_s:.1f} s (load {plan.load_s:.1f} s), "
                f"held sha256 {plan.held_sha256[:16] or 'not certified'}",
            )
        )
    told += [
        ("console", ", ".join(f"{name} {number}" for name, number in card.software.items())),
        ("started", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(card.started))),
    ]
    return told


def _device(device: DeviceCard) -> str:
    memory = f"{device.memory / GIB:.1f} GiB {'budget' if device.budget else 'usable'}"
    load = "load not known" if device.load is None else f"load {device.load:.1f} at the start"
    hot = "temperature not known" if device.celsius is None else f"{device.celsius:.0f} °C"
    drawn = "power not known" if device.watts is None else f"{device.watts:.0f} W"
    shown = f"{device.name}: {device.chip}, {device.cores} cores, {memory}, {device.system}"
    return f"{shown}, {load}, {hot}, {drawn}"


def _ranks(card: Card) -> list[str]:
    """What ranks are made of, those that are alike together; a device whose ranks are not all alike is told
    with its plans."""
    made: dict[str, dict[str, list[str]]] = {}
    for plan in card.plans:
        for rank in plan.ranks:
            made.setdefault(rank.device, {}).setdefault(rank.told, []).append(plan.name)
    alike: dict[str, list[str]] = {}
    for device, of_plans in made.items():
        for text, plans in of_plans.items():
            who = device if len(of_plans) == 1 else f"{device} in {' and '.join(plans)}"
            alike.setdefault(text, []).append(who)
    return [f"{', '.join(who)}: {text}" for text, who in alike.items()]


def _link(link: LinkCard) -> str:
    before = "not measured" if link.before_us is None else f"{link.before_us:.0f} µs"
    if link.during_us is None:
        during = "not measured"
    else:
        during = f"{link.during_us:.0f} µs (p99 {link.worst_us or 0:.0f})"
    return (
        f"{link.source}→{link.target}: {link.kind} over {link.address}, round trip {before} before, "
        f"{during} during"
    )

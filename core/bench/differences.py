"""What is not alike in where two results come from. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from core.bench.card import Card


class Difference(msgspec.Struct, frozen=True):
    """Something that is not the same on both sides."""

    what: str
    first: str
    second: str


def differences(a: Card, b: Card) -> list[Difference]:
    """What is not alike, devices, links and plans first."""
    rows = [
        *_by_name("device", _devices(a), _devices(b)),
        *_by_name("link", _links(a), _links(b)),
        *_plans(a, b),
        ("model", a.model, b.model),
        ("quantisation", a.quantization, b.quantization),
        ("KV cache", a.keeping, b.keeping),
        ("suite", a.suite, b.suite),
        *_ranks(a, b),
        *_by_name("version of", a.software, b.software),
    ]
    return [Difference(what, first, second) for what, first, second in rows if first != second]


def _by_name(what: str, a: Mapping[str, str], b: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [(f"{what} {name}", a.get(name, "—"), b.get(name, "—")) for name in dict.fromkeys([*a, *b])]


def _devices(card: Card) -> dict[str, str]:
    return {
        device.name: f"{device.chip}, {device.cores} cores, {device.memory / 2**30:.1f} GiB usable"
        for device in card.devices
    }


def _links(card: Card) -> dict[str, str]:
    # Round trips always differ a little: only the kind of path is a difference.
    return {" – ".join(sorted((link.source, link.target))): link.kind for link in card.links if link.used}


def _plans(a: Card, b: Card) -> list[tuple[str, str, str]]:
    ours, theirs = ({plan.name: f"{plan.split}, {plan.backend}" for plan in card.plans} for card in (a, b))
    match list(ours.values()), list(theirs.values()):
        case [one], [other]:
            return [("plan", one, other)]
        case _:
            return _by_name("plan", ours, theirs)


def _ranks(a: Card, b: Card) -> list[tuple[str, str, str]]:
    """What the ranks of a device that both have are made of."""
    ours, theirs = (
        {device: "; ".join(rank.told for rank in made) for device, made in card.ranks.items()}
        for card in (a, b)
    )
    return [(f"ranks on {name}", told, theirs[name]) for name, told in ours.items() if name in theirs]

"""How a conversation is held: what it is called, what the model is told before it, how tokens are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from core.request import Sampling


class Manner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the user set for one conversation."""

    title: str = ""
    """Empty: its first prompt stands for it."""
    system: str = ""
    """Told to the model before everything else."""
    sampling: Sampling = Sampling()


class Field(NamedTuple):
    """A number of the sampling as a person types it."""

    name: str
    """Of `Sampling`."""
    label: str
    low: float
    high: float
    whole: bool = False
    about: str = ""


FIELDS = (
    Field("temperature", "temperature", 0, 2, about="0 always takes the likeliest token"),
    Field("top_p", "top-p", 0, 1, about="of the likeliest tokens that share of probability; 1 takes all"),
    Field("top_k", "top-k", 0, 1_000_000, whole=True, about="of so many likeliest tokens; 0 takes all"),
    Field("min_p", "min-p", 0, 1, about="of tokens at least so likely as this share of the likeliest"),
    Field("repetition_penalty", "repetition", 0.01, 10, about="over 1 avoids tokens there were; 1 is off"),
    Field("presence_penalty", "presence", -2, 2, about="over 0 avoids tokens the answer has; 0 is off"),
    Field("frequency_penalty", "frequency", -2, 2, about="the same, for each time it has them; 0 is off"),
    Field("seed", "seed", 0, 2**31 - 1, whole=True, about="the same seed, the same answer; empty: by chance"),
    Field("max_tokens", "max tokens", 1, 10_000_000, whole=True, about="an answer ends there"),
)
"""In the order they are asked. The limits are those of OpenAI's API."""


class FieldError(ValueError):
    """A value that cannot be meant; the text says what could be, `name` is the field's."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


def typed(sampling: Sampling) -> dict[str, str]:
    """The fields as a person would type them."""
    values = {field.name: getattr(sampling, field.name) for field in FIELDS}
    return {name: "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
            for name, value in values.items()}  # fmt: skip


def parsed(texts: Mapping[str, str], base: Sampling) -> Sampling:
    """`base` with the fields as typed; an empty one takes its default. Raises FieldError."""
    chosen: dict[str, float | int | None] = {}
    default = Sampling()
    for field in FIELDS:
        text = texts[field.name].strip()
        chosen[field.name] = _number(field, text) if text else getattr(default, field.name)
    return replace(base, **chosen)


def _number(field: Field, text: str) -> float | int:
    kind = "a whole number" if field.whole else "a number"
    try:
        value = int(text) if field.whole else float(text.replace(",", "."))
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and field.low <= value <= field.high):
        raise FieldError(field.name, f"{field.label} is {kind} from {field.low:,.12g} to {field.high:,.12g}")
    return value

"""Reading `name: value` text, JSON and numbers that came from outside."""

from __future__ import annotations

import re
from typing import cast

import msgspec

from core.text import MALFORMED, clean_line

LARGEST = 2**60
"""No honest figure is above an exbibyte; larger ones would not fit where they are recorded."""
MOST = 256
"""Entries of one list that are looked at."""
WORD = 80
"""Characters kept of a name."""

_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?(?:[eE][-+]?\d{1,2})?")


def fields(text: str) -> dict[str, str]:
    """The `name: value` lines of `text`; the first of each name, quotes around names dropped."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip().strip('"'), value.strip())
    return found


def integer(text: str | None, what: str) -> int:
    """`text` as a count from 0 to LARGEST. Raises ValueError naming `what`."""
    if text is None:
        raise ValueError(f"{what} is missing")
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= LARGEST):
        raise ValueError(f"{what} is not a number")
    return int(text)


def number(text: str) -> float | None:
    """`text` as a number, None for anything else: `N/A`, `[Not Supported]`, nothing."""
    found = float(text) if _NUMBER.fullmatch(text.strip()) else None
    return found if found is not None and abs(found) <= LARGEST else None


def document(text: str) -> object:
    """What a JSON text holds. Raises ValueError, in one line."""
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"))
    except MALFORMED as error:
        raise ValueError(clean_line(f"not JSON: {error}")) from None


def array(value: object) -> list[object]:
    """The first of a JSON array; none for anything else."""
    return cast("list[object]", value)[:MOST] if isinstance(value, list) else []


def entries(value: object) -> list[dict[str, object]]:
    """The objects of a JSON array; none for anything else."""
    return [cast("dict[str, object]", one) for one in array(value) if isinstance(one, dict)]


def table(value: object) -> dict[str, object]:
    """A JSON object; an empty one for anything else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def word(value: object) -> str:
    """A short text on one line; nothing for what is no string."""
    return clean_line(value, WORD) if isinstance(value, str) else ""


def figure(value: object) -> float | None:
    """A JSON number that is neither negative nor absurd; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= LARGEST else None

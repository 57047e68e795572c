"""Reading `name: value` text and numbers that came from outside."""

from __future__ import annotations

LARGEST = 2**60
"""No honest figure is above an exbibyte; larger ones would not fit where they are recorded."""


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

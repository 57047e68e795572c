"""The one sanitiser: every string from outside passes `clean` where it enters."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, cast

import msgspec
from msgspec.structs import asdict, replace

# CSI; then OSC, DCS, SOS, PM, APC up to their end or the end of the text; then any other escape.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|\Z)"
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)
_PLAIN = re.compile(r"[\n\t -~]*")
_COMBINING_RUN = 4
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises of JSON that is none, holds no UTF-8, or is nested deeper than anybody means."""


def clean(text: str, limit: int = 4096) -> str:
    """`text` without anything that could drive a terminal or hide its meaning.

    Escape sequences go whole, also unterminated ones; so do control characters other than newline
    and tab, C1, bidirectional and other format characters; lone surrogates become U+FFFD; runs of
    combining marks are cut to four; at most `limit` characters are kept.
    """
    if _PLAIN.fullmatch(text, 0, limit + 1):
        return text[:limit]
    kept: list[str] = []
    marks = 0
    for char in _SEQUENCES.sub("", text[: limit * 4]):
        category = unicodedata.category(char)
        if category == "Cs":
            char = "�"
        elif category in ("Cc", "Cf", "Zl", "Zp", "Co") and char not in "\n\t":
            continue
        marks = marks + 1 if category.startswith("M") else 0
        if marks <= _COMBINING_RUN:
            kept.append(char)
            if len(kept) == limit:
                break
    return "".join(kept)


def clean_line(text: str, limit: int = 256) -> str:
    """`clean`, on one line: white space of any kind becomes a single blank."""
    return " ".join(clean(text, limit).split())


def size(count: float) -> str:
    """Bytes as a person reads them: `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def pace(rate: float) -> str:
    """Bytes a second as networks tell them, in bits: `955 Mb/s`, `16.4 Gb/s`."""
    bits = rate * 8
    return f"{bits / 1e9:.3g} Gb/s" if bits >= 9.995e8 else f"{bits / 1e6:.3g} Mb/s"


def scrub(value: Any, limit: int = 2**22) -> Any:
    """A decoded value with every string in it, however deep, through `clean`."""
    match value:
        case str():
            return clean(value, limit)
        case tuple():
            return tuple(scrub(one, limit) for one in cast("tuple[Any, ...]", value))
        case dict():
            known = cast("dict[Any, Any]", value)
            return {scrub(key, limit): scrub(one, limit) for key, one in known.items()}
        case msgspec.Struct():
            return replace(value, **{name: scrub(one, limit) for name, one in asdict(value).items()})
        case _:
            return value

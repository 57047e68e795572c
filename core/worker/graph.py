# pyright: basic
"""What lazy arrays are computed from, read off MLX's own drawing of their graph; nothing is computed."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

import mlx.core as mx

MOST = 1000  # arrays that one call can name


def edges(ends: list[mx.array], named: Mapping[str, mx.array]) -> list[tuple[str, str]]:
    """(from, to) over the graphs of `ends` and of `named`, by those names; the others' mean nothing."""
    text = io.StringIO()
    mx.export_to_dot(text, *ends, **named)
    return re.findall(r'^"?([^" \n]+)"? -> "?([^"\n]+)"?$', text.getvalue(), re.MULTILINE)


def used(end: mx.array, named: Mapping[str, mx.array]) -> set[str]:
    """Which of the named arrays `end` is computed from."""
    names = list(named)
    batches = [names[at : at + MOST] for at in range(0, len(names), MOST)]
    found: set[str] = set()
    for batch in batches:
        found |= {start for start, _ in edges([end], {name: named[name] for name in batch})} & set(batch)
    return found


def sources(named: Mapping[str, mx.array], values: Mapping[int, mx.array]) -> dict[int, set[str]]:
    """Which named arrays each value is computed from, directly: what those are made of does not count."""
    found: dict[int, set[str]] = {}
    keys, step = list(values), max(1, MOST - len(named))
    for at in range(0, len(keys), step):
        labels = {f"value{key}": values[key] for key in keys[at : at + step]}
        back: dict[str, list[str]] = {}
        for start, end in edges([], {**named, **labels}):
            back.setdefault(end, []).append(start)
        for key in keys[at : at + step]:
            found[key] = _behind(f"value{key}", back, named)
    return found


def _behind(value: str, back: Mapping[str, list[str]], named: Mapping[str, mx.array]) -> set[str]:
    found, seen, pending = set(), {value}, [value]
    while pending:
        for one in back.get(pending.pop(), ()):
            if one in named:
                found.add(one)
            elif one not in seen:
                seen.add(one)
                pending.append(one)
    return found

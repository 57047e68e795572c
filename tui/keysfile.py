"""The user's keys: `keys.toml` in the config folder, `id = "key"` or `id = "key,key"`."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.binding import Binding
from textual.keys import KEY_NAME_REPLACEMENTS, Keys

from tui.keymap import BESIDE

_NAMED = {key.value for key in Keys} | set(KEY_NAME_REPLACEMENTS.values())
_HELD = ("ctrl+", "alt+", "shift+", "super+", "meta+")

Groups = Mapping[str, tuple[Binding, ...]]


def read(path: Path, groups: Groups) -> tuple[dict[str, str], list[str]]:
    """Keys by binding id, and a line about each entry that cannot be used; those are left out."""
    try:
        entries = dict(_flat(tomllib.loads(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return {}, [f"{path.name}: {error}"]
    known = {binding.id: binding for group in groups.values() for binding in group}
    keymap: dict[str, str] = {}
    problems: list[str] = []
    for name, keys in entries.items():
        if name not in known:
            problems.append(f"{path.name}: nothing is called {name}; ? shows what is")
        elif not isinstance(keys, str) or not keys.strip():
            problems.append(f'{path.name}: {name} wants a key as text, such as "f5"')
        elif strange := [key for key in map(str.strip, keys.split(",")) if not _is_key(key)]:
            problems.append(f"{path.name}: {name}: {strange[0]} is no key")
        else:
            keymap[name] = ",".join(_long(key.strip()) for key in keys.split(","))
    for clash, name in _clashes(groups, keymap):
        keymap.pop(name, None)
        problems.append(f"{path.name}: {clash}; {name} keeps its own key")
    board = (*groups.get("HOLDING", ()), *groups.get("BOARD", ()))
    return keymap | _shared(board, keymap), problems


def _shared(bindings: Sequence[Binding], keymap: Mapping[str, str]) -> dict[str, str]:
    """The keys that bindings of one screen keep although another, that works at other times, had or gets
    the same: Textual takes a key that is moved, or moved to, from all of a screen's bindings."""
    kept: dict[str, str] = {}
    while True:
        given = {**keymap, **kept}
        moved = [(binding.key, given[binding.id]) for binding in bindings if binding.id in given]
        taken = {key for keys in moved for told in keys for key in told.split(",")}
        more = {b.id: b.key for b in bindings if b.id and b.id not in given and taken & {*b.key.split(",")}}
        if not more:
            return kept
        kept |= more


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """`pane.next = "n"` is a table in TOML and an id here."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield f"{prefix}{name}", value


def _is_key(key: str) -> bool:
    base = key
    while base.startswith(_HELD):
        base = base.split("+", 1)[1]
    if len(base) == 1:
        return bool(unicodedata.name(base, ""))
    if base in _NAMED:
        return True
    try:
        return bool(base) and bool(unicodedata.lookup(base.replace("_", " ").upper()))
    except KeyError:
        return False


def _long(key: str) -> str:
    """`?` as Textual names it: `question_mark`, and `ctrl+/` `ctrl+slash`."""
    held, base = key[:-1], key[-1]
    if held and not held.endswith("+"):
        return KEY_NAME_REPLACEMENTS.get(key, key)
    if not base.isalnum():
        base = unicodedata.name(base).lower().replace("-", "_").replace(" ", "_")
    return held + KEY_NAME_REPLACEMENTS.get(base, base)


def clashes(groups: Groups, keymap: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Key and the two ids it would have, of bindings that work at the same time."""
    for name, group in groups.items():
        beside = [groups[other] for other in BESIDE.get(name, ("APP",)) if other != name]
        owner: dict[str, str] = {}
        for binding in (*group, *(b for other in beside for b in other)):
            told = binding.id or ""
            for key in keymap.get(told, binding.key).split(","):
                other = owner.setdefault(key, told)
                if other != told:
                    yield key, other, told


def _clashes(groups: Groups, keymap: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What to say of each clash that the user made, and whose key to leave as it was."""
    given = dict(keymap)
    while found := next((c for c in clashes(groups, given) if given.keys() & {c[1], c[2]}), None):
        key, one, other = found
        loser = other if other in given else one
        del given[loser]
        yield f"{key} would be both {one} and {other}", loser

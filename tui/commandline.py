"""What can be typed after `:`, what it completes to, and what was meant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

MOST = 8
"""Completions shown at a time."""


@dataclass(frozen=True)
class Command:
    """A name, what it does, and the doing; `run` is given the argument, empty where there is none."""

    name: str
    about: str
    run: Callable[[str], Awaitable[None]]
    arguments: tuple[str, ...] = ()
    """What may follow the name; an argument is never required."""


def complete(commands: Sequence[Command], typed: str) -> list[tuple[str, str]]:
    """Lines that `typed` can become, each with what it does; the likeliest first."""
    name, space, rest = typed.lstrip().partition(" ")
    if space:
        command = next((c for c in commands if c.name == name), None)
        arguments = command.arguments if command else ()
        return [
            (f"{name} {word}", command.about if command else "")
            for word in arguments
            if word.startswith(rest.strip())
        ]
    ranked = [(_rank(command.name, name), i, command) for i, command in enumerate(commands)]
    return [(c.name, c.about) for rank, _, c in sorted(ranked, key=lambda r: r[:2]) if rank < 3]


def _rank(name: str, typed: str) -> int:
    """0 is the name itself, 1 begins so, 2 has a part that begins so, 3 is another name."""
    if name == typed:
        return 0
    if name.startswith(typed):
        return 1
    return 2 if any(part.startswith(typed) for part in name.split(".")) else 3


def common(texts: Sequence[str]) -> str:
    """The longest beginning that all have."""
    if not texts:
        return ""
    low, high = min(texts), max(texts)
    at = next(
        (i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high))
    )
    return low[:at]


def find(commands: Sequence[Command], typed: str) -> tuple[Command, str] | str:
    """The command meant and its argument, or why there is none."""
    name, _, rest = typed.strip().partition(" ")
    found = complete(commands, name)
    command = next((c for c in commands if found and c.name == found[0][0]), None)
    if command is None:
        return f"nothing is called {name}; tab lists what is"
    argument = rest.strip()
    if argument and argument not in command.arguments:
        known = ", ".join(command.arguments)
        return f"{command.name} takes {known}" if known else f"{command.name} takes no argument"
    return command, argument

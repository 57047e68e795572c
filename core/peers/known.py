"""Hosts the user has named himself, in `~/.ssh/config` and config.toml: listed, and not dialled.

Read here for the list alone. Connecting leaves the file to asyncssh, which follows it to the letter; here
`Match` blocks are passed over, as their conditions may be commands.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatchcase
from glob import glob
from itertools import islice
from pathlib import Path

import msgspec

from core import events as ev
from core.text import clean_line

FILE = 2**20
"""Bytes of a file that are read."""
HOSTS = 256
BLOCKS = 2048
"""Parts of all files together that are kept."""
_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*\S)")
_SERVICES = frozenset({"git"})
"""Users who are no person: such a host is a service, not a machine to work on."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A host by the name the user has for it."""

    name: str
    host: str
    port: int = 22
    way: ev.Way = "ssh_config"
    user: str = ""
    key: str = ""
    jump: str = ""
    dial: str = ""
    """What ssh is given, where that is not the name."""

    @property
    def place(self) -> str:
        """Where it is; behind a jump host the same address is another machine."""
        where = f"{self.host}:{self.port}"
        return f"{self.jump}>{where}" if self.jump else where

    @property
    def login(self) -> str:
        """The way there, in words."""
        told = (
            self.user and f"as {self.user}",
            self.key and f"key {self.key}",
            self.jump and f"via {self.jump}",
        )
        return ", ".join(filter(None, told))


class _Block(msgspec.Struct):
    """What follows a `Host` line, up to the next one."""

    patterns: tuple[str, ...]
    settings: dict[str, str]

    def holds(self, name: str) -> bool:
        if not any(name == p or fnmatchcase(name, p) for p in self.patterns):
            return False
        return not any(p.startswith("!") and fnmatchcase(name, p[1:]) for p in self.patterns)


def ssh_hosts(path: Path) -> tuple[Known, ...]:
    """The hosts that a config file and those it includes call by a name without wildcards, in its order.

    A file that cannot be read names none.
    """
    reader = _Reader(path.parent)
    reader.read(path, ("*",), ())
    names = dict.fromkeys(
        name for block in reader.blocks for name in block.patterns if not re.search(r"[*?!]", name)
    )
    found = (_known(name, reader.blocks) for name in names)
    machines = (one for one in found if one is not None and one.user not in _SERVICES)
    return tuple(islice(machines, HOSTS))


def _known(name: str, blocks: list[_Block]) -> Known | None:
    said: dict[str, str] = {}
    for block in blocks:
        if block.holds(name):
            for key, value in block.settings.items():
                said.setdefault(key, value)
    host = re.sub("%[h%]", lambda token: name if token[0] == "%h" else "%", said.get("hostname", name))
    port, jump = said.get("port", "22"), said.get("proxyjump", "")
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        return None
    shown = clean_line(name)
    if not shown or shown.startswith("-"):
        return None
    return Known(
        name=shown,
        host=clean_line(host).lower(),
        port=int(port),
        user=clean_line(said.get("user", "")),
        key=clean_line(said.get("identityfile", "")),
        jump="" if jump.lower() == "none" else clean_line(jump),
    )


class _Reader:
    """Collects blocks; what a file may include is bounded."""

    def __init__(self, folder: Path) -> None:
        self.blocks: list[_Block] = []
        self._folder = folder

    def read(self, path: Path, patterns: tuple[str, ...], within: tuple[Path, ...]) -> None:
        """Collect a file's blocks; `within` are the files that include it."""
        if path.resolve() in within:
            return
        within = (*within, path.resolve())
        self.blocks.append(_Block(patterns, {}))
        for key, value in _lines(path):
            if len(self.blocks) >= BLOCKS:
                return
            match key:
                case "host":
                    self.blocks.append(_Block(tuple(_words(value)), {}))
                case "match":
                    self.blocks.append(_Block(("*",) if value.lower() == "all" else (), {}))
                case "include":
                    inside = self.blocks[-1].patterns
                    for file in self._included(value):
                        self.read(file, inside, within)
                    self.blocks.append(_Block(inside, {}))
                case _:
                    self.blocks[-1].settings.setdefault(key, value.strip('"'))

    def _included(self, value: str) -> Iterator[Path]:
        for word in _words(value):
            pattern = self._folder / os.path.expanduser(word)
            yield from (path for one in sorted(glob(str(pattern))) if (path := Path(one)).is_file())


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open("rb") as file:
            text = file.read(FILE).decode(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        found = None if line.lstrip().startswith("#") else _LINE.match(line)
        if found:
            yield found[1].lower(), found[2]


def _words(value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError:
        return value.split()

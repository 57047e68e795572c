"""The recordings that were given no name, as they lie in their folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from core.folders import sessions_folder


class Found(msgspec.Struct, frozen=True):
    """A file that is probably a recording: it was not opened."""

    path: Path
    changed: float
    """Unix time."""
    size: int


def found(*also: Path) -> list[Found]:
    """Recordings in the folder for them, the newest first, after those named. Raises OSError for a named one
    that is not there."""
    own: list[Found] = []
    for path in sessions_folder().glob("*.exo"):
        try:
            own.append(_of(path))
        except OSError:
            continue  # gone meanwhile
    return [*map(_of, also), *sorted(own, key=lambda one: -one.changed)]


def _of(path: Path) -> Found:
    told = path.stat()
    return Found(path, told.st_mtime, told.st_size)

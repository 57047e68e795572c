"""Finds the model a person names among those on this disk."""

from __future__ import annotations

import os
import re
from pathlib import Path

from core.folders import typed
from core.models.error import ModelError
from core.text import clean_line

DEPTH = 2
"""Folders below a place in which models are looked for, as `publisher/model`."""
MOST = 1000
"""Folders of a place that are looked into."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-zA-Z]+")


def hub_cache() -> Path:
    """Where the hub's client keeps what it fetched: its own rule, from the environment."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return typed(cache)
    if home := os.environ.get("HF_HOME"):
        return typed(home) / "hub"
    return typed("~/.cache/huggingface/hub")


def resolve(model: str) -> Path:
    """The directory of a model: a directory as named, else a hub id such as `org/name` in the hub's cache.

    Nothing is fetched. Raises ModelError, saying where it looked, when there is neither.
    """
    directory = typed(model)
    if model and os.path.isdir(directory):
        return directory
    shown = clean_line(model) or "without a name"
    if not _HUB_ID.fullmatch(model):
        raise ModelError(f"there is no directory {shown}, and it is not a hub id such as org/name")
    cache = hub_cache()
    repository = cache / f"models--{model.replace('/', '--')}"
    if not os.path.isdir(repository):
        raise ModelError(f"{shown} is neither a directory nor a model in the hub cache {cache}")
    main = repository / "refs" / "main"
    try:
        commit = main.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{shown} is in the hub cache, but {main} cannot be read") from error
    snapshot = repository / "snapshots" / commit
    if not _COMMIT.fullmatch(commit) or not os.path.isdir(snapshot):
        raise ModelError(f"{shown} is in the hub cache, but the snapshot {main} names is not")
    return snapshot


def usual_places(cache: Path) -> list[Path]:
    """Folders in which models lie on many computers, and the one of our own."""
    home = typed("~")
    return [
        cache / "models",
        home / "models",
        home / ".lmstudio" / "models",
        home / ".cache" / "lm-studio" / "models",
    ]


def hub_ids() -> list[str]:
    """Ids of everything in the hub's cache that calls itself a model."""
    names = sorted(path.name for path in _folders(hub_cache()) if path.name.startswith("models--"))
    ids = [name.removeprefix("models--").replace("--", "/", 1) for name in names]
    return [id_ for id_ in ids if _HUB_ID.fullmatch(id_)]


def below(place: Path, depth: int = DEPTH) -> list[Path]:
    """Directories that hold a config.json: the place itself, or some below it."""
    if os.path.isfile(place / "config.json"):
        return [place]
    if not depth:
        return []
    inside = [path for path in _folders(place) if not path.name.startswith(".")][:MOST]
    return [found for path in sorted(inside) for found in below(path, depth - 1)]


def _folders(place: Path) -> list[Path]:
    try:
        return [path for path in place.iterdir() if os.path.isdir(path)]
    except OSError:  # not there, or not ours to read: no place to find a model
        return []

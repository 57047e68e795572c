"""Where the user's files are. Imports nothing heavy: the console asks before its first paint."""

from __future__ import annotations

import os
from pathlib import Path


def config_folder() -> Path:
    """Settings, keys, themes: `EXO_TUI_CONFIG`, else in the XDG folder."""
    return Path(os.environ.get("EXO_TUI_CONFIG") or _xdg("XDG_CONFIG_HOME", ".config"))


def cache_folder() -> Path:
    """What can be made again: `EXO_TUI_CACHE`, else in the XDG folder."""
    return Path(os.environ.get("EXO_TUI_CACHE") or _xdg("XDG_CACHE_HOME", ".cache"))


def sessions_folder() -> Path:
    """Recordings that were given no name, in the folder for data."""
    return data_folder() / "sessions"


def data_folder() -> Path:
    """What the user made and would miss: `EXO_TUI_DATA`, else in the XDG folder."""
    return Path(os.environ.get("EXO_TUI_DATA") or _xdg("XDG_DATA_HOME", ".local/share"))


def typed(path: str) -> Path:
    """A path as somebody writes it, `~` and all. One of a user there is not stays what it is: not there."""
    return Path(os.path.expanduser(path))


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "exo-tui"

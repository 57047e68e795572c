"""Themes are TOML files; each key is a keyword argument of Textual's Theme."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from textual.app import App
from textual.color import Color, ColorParseError
from textual.theme import Theme

from core.files import write_private
from tui.widgets.planstrip import SERIES

DEFAULT = "dark"
PLAIN = "ansi"
"""For terminals of 16 colours, where quantised themes lose text."""
_CHOSEN = "theme"
"""File in the config folder with the name of the theme to begin with."""


def folder() -> Path:
    """Where the themes are: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent
    shipped = package / "themes"
    return shipped if shipped.is_dir() else package.parent / "themes"


def load(path: Path, *, proven: bool = False) -> tuple[list[Theme], list[str]]:
    """The themes in a folder, and a line about each file that is not one. Of `proven` ones, tests have parsed
    all colours: the first picture need not wait for it."""
    themes: list[Theme] = []
    problems: list[str] = []
    for file in sorted(path.glob("*.toml")):
        try:
            theme = Theme(**tomllib.loads(file.read_text(encoding="utf-8")))
            if not proven:
                _prove(theme)
        except (OSError, ValueError, TypeError, ColorParseError) as error:
            problems.append(f"{file.name}: {error}")
        else:
            themes.append(theme)
    return themes, problems


def _prove(theme: Theme) -> None:
    """Parse every colour now, not at first use. Raises ValueError and ColorParseError."""
    theme.to_color_system().generate()
    for name in {"muted", *(f"series-{i + 1}" for i in range(SERIES))} & theme.variables.keys():
        Color.parse(theme.variables[name])  # of these, charts want plain ones


def install(app: App[None], config: Path) -> list[str]:
    """Make our themes and those in `config`/themes the app's choice; returns what was wrong with any.

    The user's come last: one of the same name replaces ours. Textual's own go: most lose contrast in
    256 colours, which is what plain ssh gives.
    """
    themes, problems = load(folder(), proven=True)
    own, more = load(config / "themes")
    builtin = set(app.available_themes)
    for theme in (*themes, *own):
        app.register_theme(theme)
    names = {theme.name for theme in (*themes, *own)}
    # Textual draws on stderr; without a terminal there, as in tests, the colour system is a guess.
    watched = sys.__stderr__ is not None and sys.__stderr__.isatty()
    plain = watched and app.console.color_system == "standard"
    app.theme = next(name for name in (PLAIN if plain else chosen(config), DEFAULT) if name in names)
    for name in builtin - names:
        app.unregister_theme(name)
    return problems + more


def chosen(config: Path) -> str:
    """The theme chosen the last time; empty where none was."""
    try:
        return (config / _CHOSEN).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def remember(config: Path, name: str) -> None:
    """Begin with this theme the next time. Raises OSError."""
    write_private(config / _CHOSEN, f"{name}\n".encode())

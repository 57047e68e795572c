"""Themes are TOML files; each key is a keyword argument of Textual's Theme."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from textual.app import App
from textual.color import ColorParseError
from textual.theme import Theme

DEFAULT = "dark"
PLAIN = "ansi-dark"
"""For terminals of 16 colours, where quantised themes lose text."""


def folder() -> Path:
    """Where the themes are: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent
    shipped = package / "themes"
    return shipped if shipped.is_dir() else package.parent / "themes"


def load(path: Path) -> tuple[list[Theme], list[str]]:
    """The themes in a folder, and a line about each file that is not one."""
    themes: list[Theme] = []
    problems: list[str] = []
    for file in sorted(path.glob("*.toml")):
        try:
            theme = Theme(**tomllib.loads(file.read_text(encoding="utf-8")))
            theme.to_color_system().generate()  # parses every colour now, not at first use
        except (OSError, ValueError, TypeError, ColorParseError) as error:
            problems.append(f"{file.name}: {error}")
        else:
            themes.append(theme)
    return themes, problems


def install(app: App[None], path: Path) -> list[str]:
    """Make the folder's themes the app's choice; returns what was wrong with any.

    Textual's own themes go: most lose contrast in 256 colours, which is what plain ssh gives.
    """
    themes, problems = load(path)
    for theme in themes:
        app.register_theme(theme)
    names = {theme.name for theme in themes}
    # Textual draws on stderr; without a terminal there, as in tests, the colour system is a guess.
    watched = sys.__stderr__ is not None and sys.__stderr__.isatty()
    if watched and app.console.color_system == "standard" and PLAIN in app.available_themes:
        app.theme = PLAIN
    elif DEFAULT in names:
        app.theme = DEFAULT
    if names:
        for name in set(app.available_themes) - names - {app.theme, "ansi-dark", "ansi-light"}:
            app.unregister_theme(name)
    return problems

"""What the terminal can show, told from its environment. Imports no Textual: it is asked first."""

from __future__ import annotations

import codecs
from collections.abc import Mapping

_FEW_GLYPHS = ("linux", "vt100", "vt220", "ansi")
"""Terminals whose fonts have neither circles nor braille."""


def refusal(environ: Mapping[str, str]) -> str | None:
    """Why no full screen can be drawn, None where one can."""
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        said = f"TERM={term}" if term else "TERM is not set"
        need = "the console needs a terminal that can move its cursor"
        return f"{need} ({said}); `exo-tui devices` and `exo-tui run` do not"
    return None


def pace(environ: Mapping[str, str]) -> dict[str, str]:
    """What Textual is to be told before it is imported: over SSH fewer pictures a second, unless somebody
    has said how many. A wild drag then takes less than half the bytes."""
    far = any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY"))
    return {"TEXTUAL_FPS": "20"} if far and "TEXTUAL_FPS" not in environ else {}


def plain(environ: Mapping[str, str], encoding: str | None) -> bool:
    """Whether only ASCII can be shown: said so, not UTF-8, or a terminal of few glyphs."""
    said = environ.get("EXO_TUI_ASCII", "")
    if said:
        return said != "0"
    try:
        utf8 = codecs.lookup(encoding or "ascii").name.startswith("utf")
    except LookupError:
        utf8 = False
    return not utf8 or environ.get("TERM", "") in _FEW_GLYPHS

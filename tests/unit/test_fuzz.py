"""Lines nobody should send; `python -m tests.fuzz` feeds many more."""

from __future__ import annotations

from core.text import clean, clean_line
from tests.fuzz import HOSTILE, run, shown
from tui.driver import harmless


def test_whatever_comes_is_refused_or_fit_to_be_shown() -> None:
    assert run(4000) == []


def test_nothing_hostile_survives_cleaning() -> None:
    for text in HOSTILE:
        shown([clean(text), clean_line(text)])


def test_the_driver_writes_pictures_and_its_own_orders_and_nothing_else() -> None:
    picture = "\x1b[?2026h\x1b[3;7H\x1b[1;38;2;1;2;3mname\x1b[0m\r\n\x1b[?2026l"
    assert harmless(picture) == picture
    for own in ("\x1b[?1049h", "\x1b[?1000h\x1b[?1003h", "\x1b[>1u", "\x1b]52;c;aGk=\x07", "\x1b[?2026$p"):
        assert harmless(own) == own
    for text in HOSTILE:
        out = harmless(f"\x1b[3;7H{text}\x1b[0m")
        assert "\x1b]" not in out and "\x1bP" not in out and "\x9b" not in out and "\u202e" not in out
        assert harmless(out) == out

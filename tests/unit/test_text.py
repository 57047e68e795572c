from __future__ import annotations

import json
import unicodedata

import pytest

from core.text import clean, clean_line, size

HOSTILE = {
    "title": "node\x1b]0;PWNED\x07",
    "clipboard": "x\x1b]52;c;ZXZpbA==\x1b\\",
    "clear": "\x1b[2J\x1b[Hroot#",
    "c1": "\x9b31mred\x9d0;PWNED\x9c",
    "unterminated": "a\x1b]0;never ends",
    "lone escape": "a\x1b",
    "overwrite": "safe\rEVIL\b\b",
    "bidi": "abc\u202egpj.exe\u2066x\u2069",
    "surrogate": "a\ud800b",
    "nul": "a\x00b\x7f",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_that_drives_a_terminal_survives(text: str) -> None:
    for char in clean(text):
        assert unicodedata.category(char) not in ("Cc", "Cf", "Cs"), json.dumps(clean(text))


def test_what_is_harmless_stays() -> None:
    text = "Jane’s Mac Studio — 3 × ü 日本 🍎\n\tok"
    assert clean(text) == text


def test_escape_sequences_go_whole() -> None:
    assert clean("a\x1b]0;PWNED\x07b") == "ab"
    assert clean("a\x1b[31mb\x1b[0m") == "ab"


def test_combining_marks_and_length_are_capped() -> None:
    assert len(clean("e" + "\u0301" * 50)) == 5
    assert clean("x" * 100, limit=10) == "x" * 10
    assert clean_line("two\nlines\tand  blanks") == "two lines and blanks"


def test_sizes_read_as_a_person_says_them() -> None:
    assert [size(n) for n in (512, 2048, 3 * 2**20, 1.5 * 2**30)] == ["512 B", "2 KiB", "3 MiB", "1.5 GiB"]


def test_every_character_is_handled() -> None:
    assert clean("".join(map(chr, range(0x3000))), limit=0x3000)

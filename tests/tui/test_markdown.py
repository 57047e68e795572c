"""Answers as rows: nothing is lost, nothing is markup of ours, and growing shows what the whole would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.markdown import LONG, Document, code_blocks, load

TEXT = """# A *title*

Some **bold** and `code`, a [link](http://x.y/z)
on two lines. [red]no markup[/red] <b>no html</b>

1. one
2. two
   - nested with many words that do not fit into a row of this width
3. three

> quoted

| name | what |
|---|--:|
| alpha | a cell that is far too long for one row of the table |

```python
def f(x):
    return x
```

---
the end
"""
PIECES = (
    "# a",
    "word ",
    "**b",
    "**",
    "`",
    "```",
    "\n",
    "\n\n",
    "- x",
    "1. y",
    "  ",
    "> ",
    "| a |",
    "|-|",
    "[l](u)",
)


def plain(text: str, width: int = 40) -> list[str]:
    return [row.plain.rstrip() for row in Document().rows(text, width)]


def test_every_block_is_laid_out() -> None:
    shown = plain(TEXT)
    nested = ("   • nested with many words that do not", "     fit into a row of this width")
    for row in ("A title", "1. one", *nested, "3. three", "▌ quoted", "the end", "     return x"):
        assert row in shown, "\n".join(shown)
    whole = " ".join(shown)
    assert "link (http://x.y/z)" in whole
    assert "[red]no markup[/red] <b>no html</b>" in whole
    assert all(len(row) <= 40 for row in shown)
    assert code_blocks(TEXT) == [("python", "def f(x):\n    return x")]


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.integers(5, 60))
def test_an_answer_looks_the_same_however_it_came(pieces: list[str], width: int) -> None:
    growing, text = Document(), ""
    for piece in pieces:
        text += piece
        growing.rows(text, width)
    rows = [row.plain.rstrip() for row in growing.rows(text, width)]
    assert "".join(rows) == "".join(plain(text, width))


@pytest.mark.parametrize("width", [1, 2, 7])
def test_there_is_always_room(width: int) -> None:
    assert Document().rows(TEXT, width)


def test_rows_of_what_is_settled_are_made_once() -> None:
    document = Document()
    before = document.rows("one\n\ntwo\n\nthr", 40)
    after = document.rows("one\n\ntwo\n\nthree", 40)
    assert [id(row) for row in before[:3]] == [id(row) for row in after[:3]]


def test_a_paragraph_without_end_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"**word{i}**" if i % 7 == 0 else f"word{i}" for i in range(2000))
    read: list[int] = []
    parse = load().parse
    monkeypatch.setattr(load(), "parse", lambda told: (read.append(len(told)), parse(told))[1])
    document = Document()
    for end in (*range(0, len(text), 300), len(text)):
        rows = document.rows(text[:end], 100)
    assert max(read) < LONG + 400
    assert " ".join(row.plain for row in rows).split() == text.replace("*", "").split()
    assert sum(not row.plain for row in rows) == 0

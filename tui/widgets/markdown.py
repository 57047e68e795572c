"""Markdown as rows of text: of a text that grows only the last piece is read again.

Textual's Markdown widget stalled for 0.3 s at a time while a long block of code grew, and took 23 s to open
forty answers. Neither HTML nor Rich's markup is read in a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

Row = Content

CODE = "on $surface"
QUIET = "$muted"
_INLINE = {"strong": "bold", "em": "italic", "s": "strike", "link": "underline"}
_LEAST = 4
"""Cells that are always left for a text, however deep it is nested."""
LONG = 4000
"""Characters of a paragraph that are read at once: 2 ms. Of a longer one the beginning is settled."""
_CUT = "cut"
"""Kind of a piece that the next one goes on with."""


@cache
def load() -> MarkdownIt:
    """What reads a text. It takes 20 ms to import, which the first paint does not wait for."""
    from markdown_it import MarkdownIt

    return MarkdownIt("gfm-like", {"html": False})


@lru_cache(8192)
def wrapped(text: str, width: int, style: str = "") -> tuple[Row, ...]:
    """One line of text, without any markup, on as many rows as it needs."""
    line = Content.styled(text, style) if style else Content(text)
    return tuple(line.wrap(max(1, width))) if text else (line,)


def lines(text: str, width: int, style: str = "") -> list[Row]:
    """A text without any markup, its lines wrapped."""
    return [row for line in text.replace("\t", "    ").split("\n") for row in wrapped(line, width, style)]


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Language and code of every block of code, in order."""
    return [
        ((token.info.split() or [""])[0], token.content.rstrip("\n"))
        for token in load().parse(text)
        if token.type in ("fence", "code_block")
    ]


class Document:
    """A growing text and its rows, which stay the same objects where nothing has changed."""

    def __init__(self) -> None:
        self._width = 0
        self._settled = ""
        """The text before its last piece. Nothing that follows can change how that is read."""
        self._rows: list[Row] = []
        self._kind = ""
        """Of the last piece of it; `_number`: when that is an item of a numbered list."""
        self._number: int = 0
        self._shown = ("", 0)
        self._all: list[Row] = []

    def rows(self, text: str, width: int) -> list[Row]:
        """The rows of `text` in `width` cells."""
        if (text, width) != self._shown:
            if width != self._width or not text.startswith(self._settled):
                self._width, self._settled, self._rows = width, "", []
                self._kind, self._number = "", 0
            self._read(text[len(self._settled) :], width)
            self._shown = (text, width)
        return self._all

    def _read(self, fresh: str, width: int) -> None:
        """Everything but the end of `fresh` is settled by this."""
        from markdown_it.tree import SyntaxTreeNode

        pieces = list(_pieces(SyntaxTreeNode(load().parse(fresh)), self._kind, self._number))
        raw = fresh.splitlines(keepends=True)
        first = pieces[-1].line if pieces else 0
        # What begins in the last line may yet go on with what is above: `****` is a rule, `****a` is not.
        tail = "".join(raw[first:])
        if pieces and pieces[-1].kind == "paragraph" and len(tail) > LONG and (cut := _cut(tail)):
            text, at = self._settled + fresh, len(self._settled) + len(fresh) - len(tail) + cut
            self._read(fresh[: at - len(self._settled)], width)
            self._settled, self._rows, self._kind = text[:at], self._all, _CUT
            self._read(text[at:], width)
            return
        held = 2 if first and first == len(raw) - 1 and raw[first - 1].strip() else 1
        rows, kind, settled = self._rows, self._kind, len(pieces) - held
        for at, piece in enumerate(pieces):
            # An empty row between, but for items of one list.
            joined = kind == _CUT or (piece.item and piece.kind == kind)
            apart = [Content("")] if rows and not joined else []
            rows, kind = rows + apart + piece.rows(width), piece.kind
            if at < settled:
                self._rows, self._kind, self._number = rows, kind, piece.number or 0
        if settled > 0:
            self._settled += "".join(raw[: pieces[settled].line])
        self._all = rows


def _cut(text: str) -> int:
    """Where a paragraph can be read in two parts: before a word, not in bold text or code; 0: nowhere."""
    at = LONG
    while (at := text.rfind(" ", 0, at)) > LONG // 2:
        if text[at + 1].isalpha() and text.count("`", 0, at) % 2 == text.count("**", 0, at) % 2 == 0:
            return at + 1
    return 0


class _Piece(NamedTuple):
    """A block, or an item of a list, and the line where it begins."""

    node: SyntaxTreeNode
    line: int
    kind: str
    number: int | None = None

    @property
    def item(self) -> bool:
        return self.kind.endswith("_list")

    def rows(self, width: int) -> list[Row]:
        if self.item:
            return _item(self.node, self.number, width)
        return _block(self.node, width)


def _pieces(root: SyntaxTreeNode, kind: str, number: int) -> Iterator[_Piece]:
    """The pieces of a text that follows an item of the list `kind` with that `number`, if any."""
    for block in root.children:
        nodes = block.children if block.type in ("bullet_list", "ordered_list") else [block]
        first: int | None = _first(block)
        if first is not None and kind == block.type:
            first = number + 1
        kind = block.type
        for i, node in enumerate(nodes):
            line = node.map[0] if node.map else 0
            yield _Piece(node, line, block.type, None if first is None else first + i)


def _first(block: SyntaxTreeNode) -> int | None:
    """Number of the first item of an ordered list."""
    return int(block.attrs.get("start", 1)) if block.type == "ordered_list" else None


def _block(block: SyntaxTreeNode, width: int) -> list[Row]:
    match block.type:
        case "heading":
            style = "bold underline $text-accent" if block.tag in ("h1", "h2") else "bold $text-accent"
            return _inline(block, width, style)
        case "fence" | "code_block":
            return [row for line in block.content.rstrip("\n").split("\n") for row in _code(line, width)]
        case "bullet_list" | "ordered_list":
            first = _first(block)
            numbers = [None if first is None else first + i for i in range(len(block.children))]
            return [
                row
                for item, number in zip(block.children, numbers, strict=True)
                for row in _item(item, number, width)
            ]
        case "blockquote":
            rows = _blocks(block.children, max(_LEAST, width - 2))
            return [Content.styled("▌ ", QUIET) + row for row in rows]
        case "table":
            return _table(block, width)
        case "hr":
            return [Content.styled("─" * width, QUIET)]
        case _:
            return _inline(block, width)


def _blocks(blocks: Sequence[SyntaxTreeNode], width: int) -> list[Row]:
    """Blocks with an empty row between, save before a list that belongs to what is above it."""
    rows: list[Row] = []
    for block in blocks:
        if rows and not block.type.endswith("_list"):
            rows.append(Content(""))
        rows += _block(block, width)
    return rows


def _item(item: SyntaxTreeNode, number: int | None, width: int) -> list[Row]:
    mark = "• " if number is None else f"{number}. "
    rows = _blocks(item.children, max(_LEAST, width - len(mark))) or [Content("")]
    head = Content.styled(mark, "bold $text-accent")
    return [head + rows[0], *(Content(" " * len(mark)) + row for row in rows[1:])]


@lru_cache(8192)
def _code(line: str, width: int) -> tuple[Row, ...]:
    """A line of code: folded rather than wrapped, so that every blank of it is there."""
    room = max(_LEAST, width - 2)
    text = Content(line.replace("\t", "    "))
    rows = text.fold(room) if text.cell_length > room else [text]
    return tuple(
        (Content(" ") + row).pad_right(room + 1 - row.cell_length).stylize_before(CODE) for row in rows
    )


def _inline(block: SyntaxTreeNode, width: int, style: str = "") -> list[Row]:
    content = Content.assemble(*_parts(block, style)) if block.children else Content(block.content.strip())
    return [row for line in content.split("\n", allow_blank=True) for row in line.wrap(max(1, width))]


def _parts(node: SyntaxTreeNode, style: str) -> Iterator[tuple[str, str]]:
    """The texts below a node with their styles."""
    for child in node.children:
        match child.type:
            case "text":
                yield child.content, style
            case "code_inline":
                yield child.content, f"{style} {CODE}".strip()
            case "softbreak" | "hardbreak":
                yield "\n", ""
            case "image":
                yield f"[{child.content or 'picture'}] ({child.attrs.get('src', '')})", style
            case "link":
                told = list(_parts(child, f"{style} {_INLINE['link']}".strip()))
                yield from told
                where, text = str(child.attrs.get("href", "")), "".join(part for part, _ in told)
                if text not in (where, where.removeprefix("mailto:"), where.removeprefix("http://")):
                    yield f" ({where})", QUIET
            case kind:
                yield from _parts(child, f"{style} {_INLINE.get(kind, '')}".strip())
                if not child.children and child.content:
                    yield child.content, style


def _table(table: SyntaxTreeNode, width: int) -> list[Row]:
    """Columns as wide as what they hold; where that is too much the widest give, and their cells wrap."""
    grid = [
        [Content.assemble(*_parts(cell, "bold" if cell.type == "th" else "")) for cell in row.children]
        for part in table.children
        for row in part.children
    ]
    columns = max(map(len, grid))
    widths = [max(max((r[i].cell_length for r in grid if i < len(r)), default=1), 1) for i in range(columns)]
    while sum(widths) + 3 * (columns - 1) > width and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
    rows: list[Row] = []
    for number, cells in enumerate(grid):
        columned = [cell.wrap(room) or [Content("")] for cell, room in zip(cells, widths, strict=False)]
        for y in range(max(map(len, columned), default=1)):
            parts = [column[y] if y < len(column) else Content("") for column in columned]
            rows.append(_across(parts, widths, " │ ").truncate(max(1, width), ellipsis=True))
        if number == 0:
            ruled = [Content.styled("─" * room, QUIET) for room in widths]
            rows.append(_across(ruled, widths, "─┼─").truncate(max(1, width)))
    return rows


def _across(parts: Sequence[Row], widths: Sequence[int], between: str) -> Row:
    padded = [
        part.pad_right(max(0, room - part.cell_length)) for part, room in zip(parts, widths, strict=False)
    ]
    return Content.styled(between, QUIET).join(padded)

"""Only what differs is sent to the terminal, and it shows the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.glass import Glass
from tui.picture import Picture

SIZE = (24, 4)
STYLES = (
    "", "0", "1", "2;31", "1;2", "1;38;2;228;228;228;48;2;18;18;18", "38;2;95;215;215;48;2;18;18;18",
    "3;4;97;104", "7;9;38;5;12", "48;5;1", "21;31",
)  # fmt: skip
WORDS = ("word", "a", " ", "   ", "⠤⣤⡤", "日本", "🙂 yes", "e\u0301a", "1234567890")

Piece = tuple[int, int, str, str]
pieces = st.tuples(
    st.integers(0, SIZE[0] - 1), st.integers(0, SIZE[1] - 1), st.sampled_from(STYLES), st.sampled_from(WORDS)
)


def drawn(*parts: Piece) -> str:
    """A picture as Textual writes it: at each place the style, the text, and an end of the style."""
    return "".join(f"\x1b[{y + 1};{x + 1}H\x1b[{style}m{text}\x1b[0m" for x, y, style, text in parts)


def whole(text: str = ".") -> str:
    """A picture of everything."""
    return "\n".join(drawn((0, y, "34", text * SIZE[0])) for y in range(SIZE[1]))


def shown(pictures: list[str], picture: Picture | None = None) -> tuple[Glass, Glass, list[str]]:
    """A terminal that gets all of each picture, one that gets what is told, and what that was."""
    straight, thrifty = Glass(*SIZE), Glass(*SIZE)
    picture = picture or Picture()
    told = [picture.told(data, SIZE) for data in pictures]
    for data, less in zip(pictures, told, strict=True):
        straight.feed(data)
        thrifty.feed(less)
        assert thrifty.cells == straight.cells
    return straight, thrifty, told


@given(st.lists(st.lists(pieces, min_size=1, max_size=6), max_size=8))
def test_the_terminal_shows_what_it_would_show_if_all_were_sent(pictures: list[list[Piece]]) -> None:
    shown([whole(), *(drawn(*(p for p in parts if p[0] <= SIZE[0] - 12)) for parts in pictures)])


def test_a_picture_that_is_shown_already_costs_nothing() -> None:
    row = drawn((2, 1, "1;31", "word"), (8, 1, "32", "日本"))
    *_, again = shown([whole(), row, row])[2]
    assert again == ""


def test_a_word_more_costs_a_word() -> None:
    colour = "38;2;228;228;228;48;2;18;18;18"
    before, after = drawn((0, 1, colour, f"{'one':<20}")), drawn((0, 1, colour, f"{'one two':<20}"))
    *_, told = shown([whole(), before, after])[2]
    assert told.startswith("\x1b[2;5H") and "two" in told and len(told) < 20


def test_a_style_is_not_told_twice() -> None:
    *_, told = shown([drawn((0, 0, "1;34;40", "a"), (1, 0, "34;40", "b"), (2, 0, "35;40", "c"))])[2]
    assert told == "\x1b[1;1H\x1b[0;1;34;40ma\x1b[22mb\x1b[35mc"


def test_a_picture_of_everything_is_written_whole() -> None:
    *_, told = shown([whole(), whole()])[2]
    assert told.count(".") == SIZE[0] * SIZE[1]


def test_after_a_resize_nothing_is_taken_for_shown() -> None:
    picture = Picture()
    row = drawn((2, 1, "1;31", "word"))
    picture.told(row, (80, 24))
    assert picture.told(row, (80, 24)) == ""
    assert "word" in picture.told(row, (81, 24))


def test_an_update_in_which_nothing_changed_is_not_begun() -> None:
    picture = Picture()
    row = drawn((2, 1, "31", "word"))
    assert picture.told("\x1b[?2026h", SIZE) == ""
    assert picture.told(row, SIZE).startswith("\x1b[?2026h\x1b[2;3H")
    assert picture.told("\x1b[?2026l", SIZE) == "\x1b[?2026l"
    assert [picture.told(data, SIZE) for data in ("\x1b[?2026h", row, "\x1b[?2026l")] == ["", "", ""]


def test_orders_pass_and_those_that_may_change_what_is_shown_make_it_unknown() -> None:
    picture = Picture()
    row = drawn((2, 1, "31", "word"))
    picture.told(row, SIZE)
    for order, known in (("\x1b]52;c;aGk=\x07", True), ("\x07", True), ("\x1b[?1049h", False)):
        assert picture.told(order, SIZE) == order
        assert (picture.told(row, SIZE) == "") == known

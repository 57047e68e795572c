"""Which keys a line has room for, and where."""

from __future__ import annotations

import pytest
from textual.binding import ActiveBinding, Binding
from textual.dom import DOMNode

from tui.widgets.keybar import Keys, gather

CUT = Binding.Group("Cut", compact=True)
BOUND = (
    Binding("p", "plan", "Plan"),
    Binding("enter", "plan", "Plan"),
    Binding("left", "shift(-1)", "Left", key_display="[", group=CUT),
    Binding("right", "shift(1)", "Right", key_display="]", group=CUT),
    Binding("w", "keep", "Keep", show=False),
    Binding("u", "undo", "Undo"),
    Binding("q", "quit", "Quit", show=False),
    Binding("question_mark", "help", "Help", key_display="?"),
    Binding("ctrl+p", "command_palette", "Palette", key_display="^p", show=False),
)


def keys() -> Keys:
    node = DOMNode()
    return gather(
        (ActiveBinding(node, binding, enabled=True) for binding in BOUND),
        lambda binding: binding.key_display or binding.key,
    )


def line(width: int) -> str:
    """What stands where it was placed; raises where two keys overlap."""
    text = ""
    for at, key in keys().placed(width):
        assert at >= len(text)
        text = f"{text:{at}}{key.sign}{' ' if key.told else ''}{key.told}"
    return text


def test_a_group_shares_its_word_and_an_action_is_shown_once() -> None:
    assert line(48) == "p Plan [] Cut u Undo               ? Help q Quit"
    assert line(100).endswith("? Help q Quit ^p Palette") and len(line(100)) == 100


@pytest.mark.parametrize("width", range(13, 48))
def test_a_key_without_room_is_left_out_whole_and_all_behind_it(width: int) -> None:
    left, _, right = line(width).partition("? ")
    assert right == "Help q Quit"
    kept = left.split("  ")[0].rstrip()
    assert kept in ("", "p Plan", "p Plan [] Cut", "p Plan [] Cut u Undo")
    assert len(kept) < width - 13 or not kept  # a blank before those at the right

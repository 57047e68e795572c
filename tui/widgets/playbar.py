"""The lines that say where a replay is, and what happened when."""

from __future__ import annotations

from textual.content import Content

from core.intents import Playback
from core.session.marks import Mark, MarkKind
from tui.widgets.cells import Cell, line
from tui.widgets.figures import clock
from tui.widgets.rows import Rows

SIGNS: dict[MarkKind, Cell] = {
    "bench": ("▪", "$muted"),
    "request": ("▾", "$text-primary"),
    "plan": ("◇", "$text-accent"),
    "launch": ("◆", "$text-success"),
    "alert": ("!", "bold $text-warning"),
    "fault": ("✖", "bold $text-error"),
}
"""What stands for a mark; of several in one place the last one here."""


def speed_word(speed: float) -> str:
    """`×2`, `×1/4`."""
    return f"×{speed:g}" if speed >= 1 else f"×1/{1 / speed:g}"


def passed(playback: Playback) -> Mark | None:
    """The last mark the head has passed."""
    return next((mark for mark in reversed(playback.marks) if mark.position <= playback.position), None)


def play_row(playback: Playback, width: int) -> Content:
    """State, speed, position, whether the file was cut, and the mark passed last."""
    state: Cell = ("▶ playing", "$text-success")
    if playback.position == playback.length:
        state = ("■ the end", "$muted")
    elif playback.paused:
        state = ("⏸ paused ", "$text-warning")
    cells: list[Cell] = [
        (" ", ""),
        state,
        (f" {speed_word(playback.speed)}", "bold"),
        (f"  event {playback.position}/{playback.length}", ""),
        (f"  {clock(playback.elapsed)}/{clock(playback.duration)}", ""),
    ]
    if playback.truncated:
        cells.append(("  ▲ file cut short", "$text-warning"))
    if (mark := passed(playback)) is not None:
        sign, style = SIGNS[mark.kind]
        cells += [(f"  {sign} ", style), (mark.text, "$muted")]
    return line(*cells, width=width)


def time_line(playback: Playback, width: int) -> Content:
    """The whole recording from left to right, played and to come, with its marks."""
    columns = max(1, width - 2)
    duration = playback.duration or 1.0
    # A shared moment at the end is the last column, not one beyond it.
    head = min(columns - 1, int(playback.elapsed / duration * columns))
    signs: dict[int, MarkKind] = {}
    order = list(SIGNS)
    for mark in playback.marks:
        place = min(columns - 1, int(mark.elapsed / duration * columns))
        if place not in signs or order.index(mark.kind) > order.index(signs[place]):
            signs[place] = mark.kind
    cells: list[Cell] = [(" ", "")]
    for place in range(columns):
        if place == head:
            cells.append(("┃" if place not in signs else SIGNS[signs[place]][0], "bold reverse $text-accent"))
        elif place in signs:
            cells.append(SIGNS[signs[place]])
        else:
            cells.append(("━", "$text-accent") if place < head else ("─", "$muted"))
    return line(*cells, width=width)


class PlayBar(Rows):
    """Where a replay is."""

    def draw(self, playback: Playback) -> None:
        """Show `playback`."""
        if self.size.width:
            self.show([play_row(playback, self.size.width), time_line(playback, self.size.width)])

"""The line that says where a replay is."""

from __future__ import annotations

from textual.content import Content

from core.intents import Playback
from tui.widgets.cells import Cell, line
from tui.widgets.figures import bar, clock
from tui.widgets.rows import Rows


def speed_word(speed: float) -> str:
    """`×2`, `×1/4`."""
    return f"×{speed:g}" if speed >= 1 else f"×1/{1 / speed:g}"


def play_row(playback: Playback, width: int) -> Content:
    """State, speed, position, a bar where there is room, and whether the file was cut."""
    state: Cell = ("▶ playing", "$text-success")
    if playback.position == playback.length:
        state = ("■ the end", "$muted")
    elif playback.paused:
        state = ("⏸ paused ", "$text-warning")
    share = playback.elapsed / playback.duration if playback.duration > 0 else 1.0
    cells: list[Cell] = [
        (" ", ""),
        state,
        (f" {speed_word(playback.speed)}", "bold"),
        (f"  event {playback.position}/{playback.length}", ""),
        (f"  {clock(playback.elapsed)}/{clock(playback.duration)}", ""),
    ]
    if playback.truncated:
        cells.append(("  ▲ file cut short", "$text-warning"))
    room = width - Content.assemble(*cells).cell_length - 3
    if room >= 10:
        cells.append((f"  {bar(share, room)}", "$muted"))
    return line(*cells, width=width)


class PlayBar(Rows):
    """Where a replay is."""

    def draw(self, playback: Playback) -> None:
        """Show `playback`."""
        if self.size.width:
            self.show([play_row(playback, self.size.width)])

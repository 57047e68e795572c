"""What the main screen does about a replay."""

from __future__ import annotations

from textual.screen import Screen

from tui.desk import Desk


class Playing(Screen[None]):
    """A screen that a recording may be played on."""

    desk: Desk

    async def paint(self) -> None:
        """Draw everything at once."""
        raise NotImplementedError

    async def action_play(self) -> None:
        """Pause the replay or go on."""
        if self.desk.playback is not None:
            self.desk.playback.toggle()
            await self.paint()

    async def action_step(self, events: int) -> None:
        """Move by an event."""
        if self.desk.playback is not None:
            self.desk.playback.step(events)
            await self.paint()

    async def action_seek(self, seconds: float) -> None:
        """Move by so many seconds."""
        if self.desk.playback is not None:
            self.desk.playback.seek(self.desk.playback.elapsed + seconds)
            await self.paint()

    async def action_mark(self, step: int) -> None:
        """Move to the next mark, or to the one before."""
        if self.desk.playback is not None:
            if self.desk.playback.jump(step) is None:
                self.notify("no mark before this one" if step < 0 else "no mark after this one")
            await self.paint()

    async def action_speed(self, factor: float) -> None:
        """Play faster or slower."""
        if self.desk.playback is not None:
            self.desk.playback.change_speed(factor)
            await self.paint()

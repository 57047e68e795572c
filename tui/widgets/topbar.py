"""The line above everything: where you are and how the cluster is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click

from core.state import ClusterState
from tui.host import app_of
from tui.widgets.cells import Cell, line
from tui.widgets.rows import StateRows

PANES = ("cluster", "chat", "plots", "log")
_PLACES = {pane: f"app.pane('{pane}')" for pane in PANES} | {"map": "app.map"}
"""What is named at the left, and the action that goes there."""


def cluster_word(state: ClusterState) -> Cell:
    """The cluster in a few words."""
    run = state.run
    if run is not None and run.live:
        if run.ready is None:
            up = sum(rank.phase == "ready" for rank in run.ranks)
            return (f"○ starting {up}/{len(run.ranks)}", "$text-primary")
        active = state.active
        return ("● answering" if active else "● run ready", "$text-success")
    if state.recovering:
        return ("▲ recovering", "$text-warning")
    if run is not None and run.stopped is not None and run.stopped.failed:
        return ("✖ run failed", "$text-error")
    if state.plan is not None:
        return ("○ planned", "$text-primary")
    return ("○ no plan", "$muted")


def bench_word(state: ClusterState) -> Cell | None:
    """That a suite is being measured."""
    if state.bench is None or not state.bench.live:
        return None
    return ("⏸ suite paused", "$text-warning") if state.bench.paused else ("● measuring", "$text-success")


class TopBar(StateRows):
    """Pane names and the cluster's condition."""

    front = "cluster"

    def __init__(self, title: str) -> None:
        super().__init__(id="topbar")
        self._title = title

    def rows(self, state: ClusterState, width: int) -> Sequence[Content]:
        """Panes at the left, the model and the run at the right; the model goes first where room is short."""
        left: list[Cell] = []
        for place, text in zip(_PLACES, _names(), strict=True):
            style = "bold reverse $text-accent" if place == self.front else "$muted"
            left.append((text, style))
        model = state.model.name if state.model else ""
        for middle in (f"{self._title} · {model}" if model else self._title, model, ""):
            right: list[Cell] = [
                (f"{middle}  " if middle else "", "$muted"),
                ("◉ rec  " if state.recording else "", "bold $text-error"),
                bench_word(state) or cluster_word(state),
                (" ", ""),
            ]
            room = width - sum(cell_len(text) for text, _ in (*left, *right))
            if room >= 1:
                break
        else:
            return [line(*left, width=width)]
        return [line(*left, (" " * room, ""), *right, width=width)]

    def on_click(self, event: Click) -> None:
        """Go where the name says; the model's leads to the models."""
        end = 0
        for action, text in zip(_PLACES.values(), _names(), strict=True):
            begun, end = end, end + len(text)
            if begun <= event.x < end:
                self.call_later(app_of(self).run_action, action)
        if event.x >= end:
            self.call_later(app_of(self).run_action, "screen.models")


def _names() -> list[str]:
    return [f" {number} {place.capitalize()} " for number, place in enumerate(_PLACES, 1)]

"""Every key, with an id so that a keymap can move it; the help screen lists these."""

from __future__ import annotations

from textual.binding import Binding

APP = (
    Binding("question_mark,f1", "help", "Help", key_display="?", tooltip="This list", id="help"),
    Binding("q,ctrl+q", "quit", "Quit", key_display="q", tooltip="Quit; asks when a run is live", id="quit"),
)

CONSOLE = (
    Binding(
        "1", "pane('cluster')", "Cluster", show=False, tooltip="Devices, plan, run, links", id="pane.cluster"
    ),
    Binding("2", "pane('chat')", "Chat", show=False, tooltip="The conversation", id="pane.chat"),
    Binding("3", "pane('plots')", "Plots", show=False, tooltip="Memory, latency, speed", id="pane.plots"),
    Binding("4", "pane('log')", "Log", show=False, tooltip="Alerts and the ranks' stderr", id="pane.log"),
    Binding("tab", "cycle(1)", "Next pane", show=False, tooltip="Next pane", id="pane.next"),
    Binding(
        "shift+tab", "cycle(-1)", "Previous pane", show=False, tooltip="Previous pane", id="pane.previous"
    ),
    Binding("p", "card", "Plan", tooltip="The plan card: forecast, memory, and what was weighed", id="card"),
    Binding("l", "launch", "Launch", tooltip="Launch the plan", id="launch"),
    Binding("x", "stop", "Stop run", tooltip="Stop the run and its workers", id="stop"),
    Binding("i", "compose_prompt", "Ask", tooltip="Write a prompt", id="compose"),
    Binding("s", "cancel", "End", tooltip="End the answer being written", id="cancel"),
    Binding("n", "new", "New chat", tooltip="Start an empty conversation", id="new"),
)

PLAYBACK = (
    Binding("space", "play", "Pause/play", tooltip="Pause or go on", id="play.toggle"),
    Binding(
        "left_square_bracket", "step(-1)", "Back", key_display="[", tooltip="One event back", id="play.back"
    ),
    Binding(
        "right_square_bracket", "step(1)", "Step", key_display="]", tooltip="One event on", id="play.step"
    ),
    Binding(
        "plus,equals_sign", "speed(2)", "Faster", key_display="+", tooltip="Twice the speed", id="play.fast"
    ),
    Binding("minus", "speed(0.5)", "Slower", key_display="-", tooltip="Half the speed", id="play.slow"),
)

CLUSTER = (
    Binding(
        "down,j",
        "choose(1)",
        "Down",
        show=False,
        tooltip="Next device or peer, then scroll",
        id="choose.next",
    ),
    Binding("up,k", "choose(-1)", "Up", show=False, tooltip="Previous device or peer", id="choose.previous"),
    Binding("d", "end", "End request", show=False, tooltip="End the chosen request", id="end"),
    Binding(
        "enter", "enter", "Add / trust", show=False, tooltip="Add the peer; answer a new host key", id="enter"
    ),
)

COMPOSER = (
    Binding("escape", "leave", "Leave", tooltip="Leave the composer", id="composer.leave"),
    Binding(
        "ctrl+s", "screen.cancel", "End answer", show=False, tooltip="End the answer", id="composer.cancel"
    ),
    Binding("ctrl+n", "screen.new", "New chat", show=False, tooltip="Empty conversation", id="composer.new"),
)

SECTIONS = (
    ("Everywhere", (*CONSOLE, *APP)),
    ("Cluster", CLUSTER),
    ("Composer", COMPOSER),
    ("Replay", PLAYBACK),
)

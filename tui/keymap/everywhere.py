"""Keys of every screen, and of a recording."""

from __future__ import annotations

from textual.binding import Binding

APP = (
    Binding(
        "question_mark,f1",
        "help",
        "Help",
        key_display="?",
        tooltip="The keys of this screen",
        id="help",
    ),
    Binding(
        "colon",
        "command_line",
        "Command",
        show=False,
        key_display=":",
        tooltip="Type a command; tab completes",
        id="command",
    ),
    Binding(
        "ctrl+p",
        "command_palette",
        "Palette",
        show=False,
        priority=True,
        tooltip="Find any command, theme or fault",
        id="palette",
    ),
    Binding("f,ctrl+o", "jump", "Jump", show=False, tooltip="Go anywhere by a letter", id="jump"),
    Binding("1", "pane('cluster')", "Cluster", show=False, tooltip="Devices, plan, run, links", id="cluster"),
    Binding("2", "pane('chat')", "Chat", show=False, tooltip="The conversation", id="chat"),
    Binding("3", "pane('plots')", "Plots", show=False, tooltip="Memory, latency, speed", id="plots"),
    Binding("4", "pane('log')", "Log", show=False, tooltip="Alerts and the ranks' stderr", id="log"),
    Binding("5", "map", "Map", show=False, tooltip="Devices and what joins them", id="map"),
    Binding("T", "themes", "Theme", show=False, tooltip="Choose a theme, seen at once", id="theme"),
    Binding("q,ctrl+q", "quit", "Quit", key_display="q", tooltip="Quit; asks when a run is live", id="quit"),
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
    Binding("left", "seek(-10)", "10 s back", show=False, tooltip="Ten seconds back", id="play.rewind"),
    Binding("right", "seek(10)", "10 s on", show=False, tooltip="Ten seconds on", id="play.forward"),
    Binding(
        "comma",
        "mark(-1)",
        "Mark before",
        key_display=",",
        tooltip="Back to the mark before: plan, launch, prompt, trial, fault, alert",
        id="play.mark.before",
    ),
    Binding(
        "full_stop", "mark(1)", "Next mark", key_display=".", tooltip="On to the next mark", id="play.mark"
    ),
)

FILTER = (
    Binding(
        "slash",
        "filter",
        "Filter",
        show=False,
        key_display="/",
        tooltip="Only rows with these words; !word leaves out",
        id="filter",
    ),
    Binding("escape", "unfilter", "All rows", tooltip="Show all rows again", id="filter.all"),
)

FILTER_BAR = (
    Binding("escape", "clear", "Clear", tooltip="Show all rows again", id="filter.clear"),
    Binding("down", "leave", "Leave", show=False, tooltip="Back to the rows", id="filter.leave"),
)

SCROLL = (
    Binding("down,j", "scroll_down", "Down", show=False, tooltip="A line down", id="scroll.down"),
    Binding("up,k", "scroll_up", "Up", show=False, tooltip="A line up", id="scroll.up"),
    Binding("home,g", "scroll_home", "Top", show=False, tooltip="To the top", id="scroll.top"),
    Binding("end,G", "scroll_end", "Bottom", show=False, tooltip="To the end", id="scroll.bottom"),
    Binding("pagedown,ctrl+d", "page_down", "Page down", show=False, tooltip="A page down", id="scroll.page"),
    Binding("pageup,ctrl+u", "page_up", "Page up", show=False, tooltip="A page up", id="scroll.back"),
)

BACK = (Binding("escape,backspace", "dismiss", "Back", tooltip="Back to where you were", id="back"),)

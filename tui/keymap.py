"""Every key, with an id so that a keymap can move it. Help, palette and `:` are made from these.

A tuple belongs to one widget or screen. What a key does is told by its tooltip; `show` is for the few
that the footer has room for.
"""

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

CONSOLE = (
    Binding("tab", "cycle(1)", "Next pane", show=False, tooltip="Next pane", id="pane.next"),
    Binding(
        "shift+tab", "cycle(-1)", "Previous pane", show=False, tooltip="Previous pane", id="pane.previous"
    ),
    Binding("p", "card", "Plan", tooltip="The plan card: forecast, memory, and what was weighed", id="card"),
    Binding("D", "doctor", "Doctor", show=False, tooltip="What is wrong, and what to type", id="doctor"),
    Binding("b", "board", "Board", tooltip="The shard board: move layers between devices", id="board"),
    Binding("l", "launch", "Launch", tooltip="Launch the plan", id="launch"),
    Binding("x", "stop", "Stop run", tooltip="Stop the run and its workers", id="stop"),
    Binding("i", "compose_prompt", "Ask", tooltip="Write a prompt", id="compose"),
    Binding("s", "cancel", "End", tooltip="End the answer being written", id="cancel"),
    Binding("n", "new", "New chat", tooltip="Start an empty conversation", id="new"),
    Binding("A", "serve", "API", show=False, tooltip="Serve the API on loopback, or end it", id="serve"),
    Binding("R", "record", "Record", show=False, tooltip="Record from here on, or end it", id="record"),
    Binding("B", "bench", "Bench", show=False, tooltip="Measure a suite; what was measured", id="bench"),
    Binding(
        "c",
        "conversations",
        "Conversations",
        show=False,
        tooltip="Open, rename, search and delete conversations",
        id="conversations",
    ),
    Binding("M", "models", "Models", show=False, tooltip="Choose a model; where each fits", id="models"),
    Binding(
        "o",
        "manner",
        "Prompt and sampling",
        show=False,
        tooltip="System prompt, temperature and the like of this conversation",
        id="manner",
    ),
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
        "Last mark",
        key_display=",",
        tooltip="Back to the mark before: plan, launch, prompt, trial, fault, alert",
        id="play.mark.before",
    ),
    Binding(
        "full_stop", "mark(1)", "Next mark", key_display=".", tooltip="On to the next mark", id="play.mark"
    ),
)

CLUSTER = (
    Binding(
        "down,j",
        "choose(1)",
        "Down",
        show=False,
        tooltip="Next device, peer or request, then scroll",
        id="choose.next",
    ),
    Binding("up,k", "choose(-1)", "Up", show=False, tooltip="The one before", id="choose.previous"),
    Binding("home,g", "end_of(False)", "First", show=False, tooltip="The first one", id="choose.first"),
    Binding("end,G", "end_of(True)", "Last", show=False, tooltip="The last one", id="choose.last"),
    Binding("d", "end", "End request", show=False, tooltip="End the chosen request", id="end"),
    Binding("K,shift+up", "move(-1)", "Sooner", show=False, tooltip="A waiting request sooner", id="sooner"),
    Binding("J,shift+down", "move(1)", "Later", show=False, tooltip="A waiting request later", id="later"),
    Binding(
        "P",
        "provision",
        "Install mlx",
        show=False,
        tooltip="Make a Python with mlx on the chosen device, or remove it; asks first",
        id="provision",
    ),
    Binding(
        "enter",
        "enter",
        "Open",
        show=False,
        tooltip="About the device; add the peer; answer a new host key",
        id="enter",
    ),
)

PLOTS = (
    Binding("down,j", "choose(1)", "Next", show=False, tooltip="The next plot", id="plot.next"),
    Binding("up,k", "choose(-1)", "Previous", show=False, tooltip="The one before", id="plot.previous"),
    Binding("home,g", "end_of(False)", "First", show=False, tooltip="The first plot", id="plot.first"),
    Binding("end,G", "end_of(True)", "Last", show=False, tooltip="The last plot", id="plot.last"),
    Binding("w", "window", "Window", tooltip="1 minute, 10 minutes, all there is", id="plot.window"),
    Binding("enter,z", "zoom", "Zoom", tooltip="This plot on the whole screen", id="plot.zoom"),
)

MAP = (
    Binding("down,j,right", "choose(1)", "Next", show=False, tooltip="The next device", id="map.next"),
    Binding("up,k,left", "choose(-1)", "Previous", show=False, tooltip="The one before", id="map.previous"),
    Binding("home,g", "end_of(False)", "First", show=False, tooltip="The first device", id="map.first"),
    Binding("end,G", "end_of(True)", "Last", show=False, tooltip="The last device", id="map.last"),
    Binding("enter", "open", "About", tooltip="All about the chosen device", id="map.open"),
    Binding("t", "table", "Table", tooltip="Graph or table", id="map.table"),
    Binding("s", "sort", "Sort", tooltip="By rank, name, memory, worst link, status", id="map.sort"),
)

DEVICE = (
    Binding("right,n", "choose(1)", "Next", tooltip="The next device", id="device.next"),
    Binding("left,p", "choose(-1)", "Previous", tooltip="The one before", id="device.previous"),
)

BACK = (Binding("escape,backspace", "dismiss", "Back", tooltip="Back to where you were", id="back"),)

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

CHAT = (
    Binding(
        "down,j", "choose(1)", "Down", show=False, tooltip="Scroll, then the next exchange", id="chat.next"
    ),
    Binding(
        "up,k", "choose(-1)", "Up", show=False, tooltip="Scroll, then the one before", id="chat.previous"
    ),
    Binding("home,g", "end_of(-1)", "First", show=False, tooltip="The first exchange", id="chat.first"),
    Binding("end,G", "end_of(1)", "Last", show=False, tooltip="The last exchange", id="chat.last"),
    Binding(
        "e", "wish('edit')", "Edit", show=False, tooltip="Edit the question and ask again", id="chat.edit"
    ),
    Binding("r", "wish('again')", "Again", show=False, tooltip="Have it answered again", id="chat.again"),
    Binding("y", "wish('copy')", "Copy", show=False, tooltip="Copy the answer", id="chat.copy"),
    Binding(
        "Y",
        "wish('code')",
        "Copy code",
        show=False,
        tooltip="Copy a block of code, then the next",
        id="chat.code",
    ),
    Binding("t", "thought", "Thought", show=False, tooltip="Show or hide what it thought", id="chat.thought"),
)

COMPOSER = (
    Binding(
        "ctrl+j,shift+enter",
        "newline",
        "New line",
        show=False,
        tooltip="A new line; enter sends",
        id="composer.newline",
    ),
    Binding("escape", "leave", "Leave", tooltip="Leave the composer", id="composer.leave"),
    Binding(
        "ctrl+s", "screen.cancel", "End answer", show=False, tooltip="End the answer", id="composer.cancel"
    ),
    Binding("ctrl+n", "screen.new", "New chat", show=False, tooltip="Empty conversation", id="composer.new"),
    Binding("enter", "submit", "Send", tooltip="Send the prompt", id="composer.send"),
)

LIST = (
    Binding("down,j", "choose(1)", "Next", show=False, tooltip="The next one", id="list.next"),
    Binding("up,k", "choose(-1)", "Previous", show=False, tooltip="The one before", id="list.previous"),
    Binding("home,g", "end_of(-1)", "First", show=False, tooltip="The first one", id="list.first"),
    Binding("end,G", "end_of(1)", "Last", show=False, tooltip="The last one", id="list.last"),
    Binding("enter", "pick", "Take", show=False, tooltip="Take the chosen one", id="list.take"),
)

CONVERSATIONS = (
    Binding("n", "new", "New", tooltip="Start an empty conversation", id="conversations.new"),
    Binding("r", "rename", "Rename", tooltip="Rename the chosen one", id="conversations.rename"),
    Binding("d", "delete", "Delete", tooltip="Delete the chosen one, after a yes", id="conversations.delete"),
    Binding("slash", "search", "Search", tooltip="Search what was said", id="conversations.search"),
    Binding("escape", "leave", "Close", tooltip="End the search, then close", id="conversations.close"),
)

MODELS = (
    Binding("a", "add", "Add folder", tooltip="Look for models in a folder as well", id="models.add"),
    Binding("slash", "search", "Search", tooltip="Search by name or path", id="models.search"),
    Binding("escape", "leave", "Close", tooltip="End the search, then close", id="models.close"),
)

FORM = (
    Binding("ctrl+s", "take", "Take", tooltip="Take it as it is filled in", id="form.take"),
    Binding("escape", "leave", "Leave", tooltip="Leave it as it was", id="form.leave"),
)

ENTRY = (Binding("escape", "leave", "Leave", tooltip="Leave it as it was", id="entry.leave"),)

DIALOG = (Binding("escape,q,enter", "dismiss", "Close", tooltip="Close", id="close"),)
HELP = (Binding("question_mark,f1", "dismiss", "Close", tooltip="Close", id="help.close"),)
DOCTOR = (
    Binding("down,j", "choose(1)", "Next", show=False, tooltip="The next finding", id="doctor.next"),
    Binding("up,k", "choose(-1)", "Previous", show=False, tooltip="The one before", id="doctor.previous"),
    Binding("c,enter", "copy", "Copy", tooltip="Copy its commands", id="doctor.copy"),
    Binding("escape,q,D", "dismiss", "Close", tooltip="Close", id="doctor.close"),
)
PLAN = (Binding("p", "dismiss", "Close", tooltip="Close", id="card.close"),)

LINE = (
    Binding("escape", "leave", "Leave", tooltip="Type nothing", id="line.leave"),
    Binding("tab", "complete", "Complete", tooltip="Complete what is typed", id="line.complete"),
    Binding("down", "choose(1)", "Next", show=False, tooltip="The next one", id="line.next"),
    Binding("up", "choose(-1)", "Previous", show=False, tooltip="The one before", id="line.previous"),
)

THEMES = (
    Binding("down,j", "choose(1)", "Next", show=False, tooltip="The next theme", id="themes.next"),
    Binding("up,k", "choose(-1)", "Previous", show=False, tooltip="The one before", id="themes.previous"),
    Binding("enter", "keep", "Keep", tooltip="Keep this theme", id="themes.keep"),
    Binding("escape,q", "leave", "Leave", tooltip="Back to the theme before", id="themes.leave"),
)

BENCH = (
    Binding(
        "down,j",
        "choose(1)",
        "Next",
        show=False,
        priority=True,
        tooltip="The next suite",
        id="bench.next",
    ),
    Binding(
        "up,k",
        "choose(-1)",
        "Previous",
        show=False,
        priority=True,
        tooltip="The one before",
        id="bench.previous",
    ),
    Binding("enter", "begin", "Measure", tooltip="Measure the chosen suite", id="bench.begin"),
    Binding("space", "hold", "Pause", tooltip="Hold the next run back, or go on", id="bench.hold"),
    Binding("x", "abort", "End", tooltip="End the suite; what was measured stays", id="bench.abort"),
    Binding("escape", "dismiss", "Back", tooltip="Back to the console; measuring goes on", id="bench.leave"),
)

QUESTION = (
    Binding("y", "answer(True)", "Yes", tooltip="Yes", id="answer.yes"),
    Binding("n,escape", "answer(False)", "No", tooltip="No", id="answer.no"),
)

TRUST = (
    Binding("y", "answer(True)", "Accept", tooltip="Accept the key", id="trust.accept"),
    Binding("n", "answer(False)", "Refuse", tooltip="Refuse the key", id="trust.refuse"),
    Binding("escape", "later", "Later", tooltip="Decide later", id="trust.later"),
)

HOLDING = (
    Binding("space", "drop", "Drop", tooltip="Put down what is held", id="board.drop.space"),
    Binding("enter", "drop", "Drop", show=False, tooltip="Put down what is held", id="board.drop"),
    Binding("escape", "put_back", "Put back", tooltip="Put what is held back", id="board.put-back"),
)

_CUT = Binding.Group("Cut ", compact=True)  # the blank keeps the next key apart

BOARD = (
    Binding("space", "pick", "Pick", tooltip="Pick up the chosen layers or device", id="board.pick"),
    Binding(
        "left_square_bracket",
        "shift(-1)",
        "Boundary left",
        key_display="[",
        group=_CUT,
        tooltip="Move the boundary left by a layer",
        id="board.left",
    ),
    Binding(
        "right_square_bracket",
        "shift(1)",
        "Boundary right",
        key_display="]",
        group=_CUT,
        tooltip="Move the boundary right by a layer",
        id="board.right",
    ),
    Binding(
        "left_curly_bracket",
        "shift(-5)",
        "Left by five",
        key_display="{",
        show=False,
        tooltip="Move the boundary left by five",
        id="board.left5",
    ),
    Binding(
        "right_curly_bracket",
        "shift(5)",
        "Right by five",
        key_display="}",
        show=False,
        tooltip="Move the boundary right by five",
        id="board.right5",
    ),
    Binding("x", "include", "In/out", tooltip="Take the chosen device out, or put it in", id="board.include"),
    Binding("e", "even", "Even", tooltip="As many layers for every device", id="board.even"),
    Binding("a", "auto", "Auto", tooltip="Back to the automatic plan", id="board.auto"),
    Binding("m", "kind", "Mode", tooltip="Pipeline, or a tensor group", id="board.kind"),
    Binding("u", "undo", "Undo", tooltip="Undo the last edit", id="board.undo"),
    Binding("ctrl+r", "redo", "Redo", show=False, tooltip="Redo what was undone", id="board.redo"),
    Binding("w", "keep", "Keep", show=False, tooltip="Keep the plan under a name", id="board.keep"),
    Binding("p", "card", "Card", tooltip="The card of the plan on the board", id="board.card"),
    Binding("o", "plans", "Plans", tooltip="Plans that were kept: compare, load, delete", id="board.plans"),
    Binding("enter", "launch", "Launch", tooltip="Launch; asks when a run is live", id="board.launch"),
    Binding("up,k", "step(-1)", "Up", show=False, tooltip="The device above", id="board.up"),
    Binding("down,j", "step(1)", "Down", show=False, tooltip="The device below", id="board.down"),
    Binding(
        "left,h",
        "along(-1)",
        "Left",
        show=False,
        tooltip="The layer before, or the device",
        id="board.before",
    ),
    Binding("right,l", "along(1)", "Right", show=False, tooltip="The layer after", id="board.after"),
    Binding(
        "home,g", "end(False)", "First", show=False, tooltip="The device, before its layers", id="board.first"
    ),
    Binding(
        "end,G", "end(True)", "Last", show=False, tooltip="The last layer of the device", id="board.last"
    ),
    Binding("escape,b", "back", "Back", tooltip="Back to the console; the plan stays", id="board.back"),
)

PLANS = (
    Binding("down,j", "move(1)", "Next", show=False, tooltip="The next plan", id="plans.next"),
    Binding("up,k", "move(-1)", "Previous", show=False, tooltip="The one before", id="plans.previous"),
    Binding("enter", "load", "Load", tooltip="Lay this plan on the board", id="plans.load"),
    Binding("space", "mark", "Compare", tooltip="Compare the others with this one", id="plans.mark"),
    Binding("d,delete", "remove", "Delete", tooltip="Delete this plan", id="plans.remove"),
    Binding("escape,q,o", "dismiss", "Close", tooltip="Back to the board", id="plans.close"),
)

NAME = (Binding("escape", "dismiss", "Cancel", tooltip="Keep nothing", id="name.cancel"),)

BESIDE: dict[str, tuple[str, ...]] = {
    **{name: ("CONSOLE", "APP") for name in ("PLAYBACK", "CLUSTER", "PLOTS", "FILTER", "SCROLL", "CHAT")},
    **dict.fromkeys(("CONVERSATIONS", "MODELS"), ("LIST",)),
    **dict.fromkeys(
        (
            "LIST",
            "BENCH",
            "DIALOG",
            "DOCTOR",
            "FORM",
            "ENTRY",
            "HELP",
            "PLAN",
            "LINE",
            "THEMES",
            "QUESTION",
            "TRUST",
            "COMPOSER",
            "FILTER_BAR",
            "HOLDING",
            "PLANS",
            "NAME",
        ),
        (),
    ),
}
"""Whose keys work at the same time as those of a tuple: APP's, where nothing else is said."""

_NAMES = {
    "question_mark": "?",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "colon": ":",
    "slash": "/",
    "comma": ",",
    "full_stop": ".",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
}


def key_names(keys: str) -> str:
    """Keys of a binding as printed on them: `? f1`."""
    return " ".join(_NAMES.get(key, key) for key in keys.split(","))


def groups() -> dict[str, tuple[Binding, ...]]:
    """Every tuple of bindings in this file, by its name."""
    return {name: value for name, value in globals().items() if name.isupper() and isinstance(value, tuple)}

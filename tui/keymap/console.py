"""Keys of the main screen and its panes."""

from __future__ import annotations

from textual.binding import Binding

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
    Binding("C", "wish('resume')", "Continue", show=False, tooltip="Finish a cut answer", id="chat.resume"),
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

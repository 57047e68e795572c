"""Taking a peer into the cluster: what is known of it, and what to tell SSH."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from msgspec.structs import asdict
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, Static

from core.events import PeerSeen
from core.joining import Wanted, mistake, suggested
from core.namesakes import doubt
from core.state import ClusterState
from tui import keymap
from tui.desk import Desk
from tui.screens.closing import Dialog
from tui.widgets.cells import Cell
from tui.widgets.devices import claims, provenance
from tui.widgets.keybar import KeyLine

_FIELDS = {
    "name": ("name", "what the cluster calls it"),
    "user": ("user", "empty: as ssh_config says, else your own"),
    "port": ("port", "empty: as ssh_config says, else 22"),
    "key": ("key file", "empty: as ssh_config says, and those of your SSH agent"),
    "python": ("python", "the interpreter there with mlx and mlx-lm; empty: python3"),
    "work": ("our folder", "for the worker and copies of models there; empty: ~/.cache/exo-tui"),
    "models": ("models", "a folder there where models lie; empty: at the path they have here, or copied"),
}


def about(state: ClusterState, peer: PeerSeen) -> Iterator[tuple[str, Cell]]:
    """A label and what is known of a peer."""
    yield "at", (f"{peer.host} port {peer.port}", "bold")
    if peer.addresses:
        yield "addresses", (", ".join(peer.addresses), "")
    asked = "" if peer.announced else "; not looked for yet"
    yield "known from", (f"{provenance(state, peer)}{asked}", "")
    if claims(peer):
        yield "says it is", (f"{claims(peer)} (not checked)", "")
    if peer.login:
        yield "ssh_config", (peer.login, "")
    if unsure := doubt(state, peer):
        yield "▲ beware", (unsure, "$text-warning")


class AddScreen(Dialog[Wanted | None]):
    """None when it was left. Nothing is contacted before."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.ADD)

    def __init__(self, desk: Desk, peer: PeerSeen) -> None:
        super().__init__()
        self._desk = desk
        self._peer = peer

    def compose(self) -> ComposeResult:
        """What is known, a field for each thing to tell, a line about the one written in, and the keys."""
        state = self._desk.state
        wanted = asdict(suggested(state, self._peer))
        with VerticalScroll(classes="dialog form", can_focus=False) as dialog:
            dialog.border_title = "Add to the cluster"
            parts: list[Cell] = []
            for label, (text, style) in about(state, self._peer):
                parts += [(f"{label:<14}", "$muted"), (f"{text}\n", style)]
            yield Static(Content.assemble(*parts), markup=False)
            for name, (label, _) in _FIELDS.items():
                with Horizontal(classes="field"):
                    yield Label(label)
                    yield Input(str(wanted[name]), id=name, compact=True, select_on_focus=False)
            yield Static("", id="told", markup=False)
            yield KeyLine("enter adds it   ctrl+s writes it into config.toml too   esc leaves it")

    def on_mount(self) -> None:
        """No blinking: nothing is painted when nothing happens."""
        for field in self.query(Input):
            field.cursor_blink = False
        self.query_one("#user", Input).focus()

    def on_descendant_focus(self) -> None:
        """Say what the field is."""
        name = self.focused.id if self.focused else None
        self._say(_FIELDS.get(name or "", ("", ""))[1], "$muted")

    def _say(self, text: str, style: str) -> None:
        self.query_one("#told", Static).update(Content.styled(text, style))

    def on_input_submitted(self) -> None:
        """Enter in a line."""
        self._take(keep=False)

    def action_keep(self) -> None:
        """Add it for good."""
        self._take(keep=True)

    def _take(self, *, keep: bool) -> None:
        texts = {name: self.query_one(f"#{name}", Input).value.strip() for name in _FIELDS}
        wanted = Wanted(**texts, keep=keep)
        wrong = mistake(self._desk.state, wanted)
        if wrong is None:
            self.dismiss(wanted)
            return
        self.query_one(f"#{wrong[0]}", Input).focus()
        # After the focus has moved, which says something as well.
        self.call_later(self._say, f"✖ {wrong[1]}", "$text-error")

    def action_leave(self) -> None:
        """Add nothing."""
        self.dismiss(None)

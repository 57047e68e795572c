"""The question about a host key nobody has accepted yet."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from core.events import TrustAsked
from tui import keymap
from tui.screens.closing import Dialog
from tui.widgets.keybar import KeyLine

KEY_FILES = {
    "ssh-ed25519": "ssh_host_ed25519_key.pub",
    "ssh-rsa": "ssh_host_rsa_key.pub",
    "rsa-sha2-256": "ssh_host_rsa_key.pub",
    "rsa-sha2-512": "ssh_host_rsa_key.pub",
}
"""File of a host key by algorithm; ECDSA otherwise."""


class TrustScreen(Dialog[bool | None]):
    """Shows the key. True accepts, False refuses, None leaves the question open."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.TRUST)

    def __init__(self, asked: TrustAsked) -> None:
        super().__init__()
        self.asked = asked

    def compose(self) -> ComposeResult:
        """The key, how to compare it, and the keys."""
        asked = self.asked
        file = KEY_FILES.get(asked.algorithm, "ssh_host_ecdsa_key.pub")
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "New host key"
            yield Static(
                Content.assemble(
                    ("Host         ", "$muted"),
                    (f"{asked.host} port {asked.port}\n", "bold"),
                    ("Algorithm    ", "$muted"),
                    f"{asked.algorithm}\n",
                    ("Fingerprint  ", "$muted"),
                    (asked.fingerprint, "bold $text-warning"),
                ),
                classes="dialog-text",
                markup=False,
            )
            yield Static(
                Content(f"On that machine, compare with\nssh-keygen -lf /etc/ssh/{file}"),
                classes="dialog-text",
                markup=False,
            )
            yield KeyLine("y accept   n refuse   esc decide later")

    def action_answer(self, accepted: bool) -> None:
        """Accept or refuse."""
        self.dismiss(accepted)

    def action_later(self) -> None:
        """Leave the question open; enter on the device asks again."""
        self.dismiss(None)

"""The last guard before the terminal: texts are cleaned where they enter, this is for one that was not."""

from __future__ import annotations

import re

from textual.drivers.linux_driver import LinuxDriver

from tui.picture import Picture

# A picture moves the cursor, colours text, and says where it begins and ends; nothing else is in it.
_STRANGE = re.compile(
    "\x1b(?!\\[[0-9;]*[mHK]|\\[\\?(?:2026|25)[hl])"
    "|[\x00-\x06\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
# What the driver and the app say by themselves comes alone: modes, a text copied, the shape of the pointer.
_OWN = re.compile(
    "(?:\x1b\\[[?<>=][0-9;]*\\$?[a-zA-Z])+|\x1b\\]52;c;[A-Za-z0-9+/=]*\x07|\x1b\\]22;[a-z-]*\x07"
)


def harmless(data: str) -> str:
    """`data` without what could make the terminal do more than show it."""
    if _STRANGE.search(data) is None or _OWN.fullmatch(data):
        return data
    return _STRANGE.sub("", data)


class GuardedDriver(LinuxDriver):
    """Writes to the terminal what is harmless, and of that what it does not show yet."""

    def start_application_mode(self) -> None:
        """Begin, also once more after a stop, with a terminal that may show anything."""
        self._picture = Picture()
        super().start_application_mode()

    def write(self, data: str) -> None:
        """Write a picture, or an order of the driver's own."""
        if told := self._picture.told(harmless(data), self._get_terminal_size()):
            super().write(told)

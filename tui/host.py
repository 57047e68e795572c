"""The app a widget runs in."""

from __future__ import annotations

from typing import cast

from textual.app import App
from textual.message_pump import MessagePump


def app_of(node: MessagePump) -> App[object]:
    """`node.app` with the type Textual leaves open."""
    return cast("App[object]", node.app)  # pyright: ignore[reportUnknownMemberType]

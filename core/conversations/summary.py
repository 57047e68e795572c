"""A conversation in a list."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from core.conversations.manner import Manner
from core.conversations.store import Stored
from core.text import clean_line

SHOWN = 80
"""Characters of a title that is taken from the first prompt."""


class Summary(msgspec.Struct, frozen=True):
    """What the list shows, and `words`, all that was said in it in small letters, to be searched."""

    id: str
    title: str
    changed: float
    """When something was said in it last."""
    exchanges: int
    words: str
    cut: bool = False
    """Its last answer has begun and not ended: it is being written, or its console has crashed."""


def titled(manner: Manner, prompts: Iterable[str]) -> str:
    """What a conversation is called: as the user named it, else how it begins."""
    return clean_line(manner.title or next(iter(prompts), ""), SHOWN) or "new conversation"


def summary(stored: Stored) -> Summary:
    """The conversation in short."""
    title = titled(stored.manner, (one.prompt for one in stored.exchanges))
    said = "\n".join(part for one in stored.exchanges for part in (one.prompt, one.text))
    cut = any(one.ids and one.done is None for one in stored.exchanges[-1:])
    return Summary(
        stored.id, title, stored.changed, len(stored.exchanges), f"{title}\n{said}".casefold(), cut
    )

"""What the rank that is to blame for a failed run has written last, for commands that print and end."""

from __future__ import annotations

import sys

from core import events as ev


def print_last_words(event: ev.AnyEvent) -> None:
    """Hear the bus: every line that comes with a verdict is one on stderr. The verdict is said elsewhere."""
    if isinstance(event, ev.RunBlamed):
        for line in event.log:
            print(
                f"exo-tui: rank {event.rank} on {event.device}, stderr: {line}", file=sys.stderr, flush=True
            )

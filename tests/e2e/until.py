"""The one way in which these tests wait: for a condition, and not for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LIMIT_S = 60.0
"""Generous: a slow machine is no failure, only a condition that never comes is."""
POLL_S = 0.05


def until(so: Callable[[], object], what: str, limit: float = LIMIT_S) -> None:
    """Return once `so()`; fail, naming `what`, after `limit` seconds."""
    end = time.monotonic() + limit
    while not so():
        assert time.monotonic() < end, f"not within {limit:.0f} s: {what}"
        time.sleep(POLL_S)


async def soon(so: Callable[[], object], what: str, limit: float = LIMIT_S) -> None:
    """`until` for a test that shares its event loop with what it waits for."""
    end = time.monotonic() + limit
    while not so():
        assert time.monotonic() < end, f"not within {limit:.0f} s: {what}"
        await asyncio.sleep(POLL_S)

"""What exo-tui starts, and what of it is alive below this process."""

from __future__ import annotations

import contextlib

import psutil

GUARD, WORKER, SERVER, AGENT = "guard.py", "worker", "core.rehearsal.device", "-c import os,struct"
"""Words of their command lines. A guard is called a worker too."""


def below(*words: str) -> list[psutil.Process]:
    """Everything alive that this process started, itself or not, with one of `words` in its command line."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            line = " ".join(process.cmdline())  # a zombie has none
            if any(word in line for word in words):
                found.append(process)
    return found

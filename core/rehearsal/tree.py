"""The processes below a process, and their memory, on Linux and macOS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def _table() -> dict[int, tuple[int, int]]:
    """Parent and resident bytes by pid, as `ps` says."""
    text = subprocess.run(["ps", "-axo", "pid=,ppid=,rss="], capture_output=True, text=True).stdout
    rows = (tuple(map(int, line.split())) for line in text.splitlines())
    return {pid: (parent, kib * 1024) for pid, parent, kib in rows}


def _below(table: dict[int, tuple[int, int]], root: int) -> list[int]:
    found: list[int] = []
    level = {root}
    while level:
        level = {pid for pid, (parent, _) in table.items() if parent in level}
        found.extend(sorted(level))
    return found


def descendants(root: int) -> list[int]:
    """Pids of the processes that `root` started, and those started in turn; without itself."""
    return _below(_table(), root)


def anonymous_memory(root: int) -> dict[int, int]:
    """Bytes of memory by pid, of `root` and below: on Linux only what no file backs, so that the shared
    pages of the interpreter are not counted once a process."""
    table = _table()
    return {pid: _anonymous(pid, table[pid][1]) for pid in (root, *_below(table, root)) if pid in table}


def _anonymous(pid: int, resident: int) -> int:
    if sys.platform != "linux":
        return resident
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)

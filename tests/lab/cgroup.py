"""A cgroup for each host, so that a whole host can be made to stand still."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path


def _hierarchy() -> Path | None:
    """Where cgroup v2 is mounted; freezing needs no controller, so the one beside v1 will do."""
    for root in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (root / "cgroup.controllers").exists():
            return root
    return None


class Cgroup:
    """One host's cgroup, below one for its lab."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, lab: str, host: str) -> Cgroup | None:
        """The cgroup, or None where this machine does not let us have one."""
        root = _hierarchy()
        with contextlib.suppress(OSError):
            if root is not None:
                path = root / lab / host
                path.mkdir(parents=True, exist_ok=True)
                if (path / "cgroup.freeze").exists():
                    return cls(path)
                _remove(path.parent)
        return None

    def join(self) -> None:
        """Put the calling process in."""
        fd = os.open(self.path / "cgroup.procs", os.O_WRONLY)
        os.write(fd, b"0")
        os.close(fd)

    def freeze(self, on: bool, timeout: float = 5.0) -> None:
        """Stop or resume every process in it; back when the kernel says that it is so."""
        (self.path / "cgroup.freeze").write_text("1" if on else "0")
        end = time.monotonic() + timeout
        while f"frozen {on:d}" not in (self.path / "cgroup.events").read_text():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.path} is not {'frozen' if on else 'thawed'}")
            time.sleep(0.005)


def _remove(path: Path, timeout: float = 2.0) -> None:
    end = time.monotonic() + timeout
    for one in (*path.glob("*/"), path):
        while True:
            try:
                one.rmdir()
            except FileNotFoundError:
                pass
            except OSError:  # processes killed a moment ago still count
                if time.monotonic() < end:
                    time.sleep(0.01)
                    continue
            break


def remove_all(lab: str) -> None:
    """Remove a lab's cgroups, whose processes have ended."""
    root = _hierarchy()
    if root is not None and (root / lab).exists():
        _remove(root / lab)

"""Write everything that happens to a file, as it happens."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from pathlib import Path

import msgspec
import zstandard

from core.bus import Bus
from core.events import AnyEvent, Tick
from core.folders import sessions_folder
from core.session.format import Header

PACKAGES = ("exo-tui", "mlx", "mlx-lm", "textual", "asyncssh", "zeroconf")


def unnamed(kind: str) -> Path:
    """Where a recording goes that was given no name. Makes the folder; raises OSError."""
    folder = sessions_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}.exo"


def software() -> dict[str, str]:
    """Versions of what the console is made of."""
    return {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}


class Recorder:
    """Appends events of a bus to a file, flushed once a second: at each tick.

    Opening raises OSError and leaves an existing file alone.
    """

    def __init__(self, bus: Bus, path: Path) -> None:
        self.path = path
        self._file = path.open("xb")
        self._writer = zstandard.ZstdCompressor(level=3).stream_writer(self._file)
        header = Header(started=time.time(), software=software(), state=bus.state)
        self._writer.write(msgspec.json.encode(header) + b"\n")
        self._flush()
        self._unsubscribe = bus.subscribe(self._take)

    def _take(self, event: AnyEvent) -> None:
        self._writer.write(msgspec.json.encode(event) + b"\n")
        if isinstance(event, Tick):
            self._flush()

    def _flush(self) -> None:
        # A block is readable once flushed, though its frame is still open: a cut loses a second at most.
        self._writer.flush(zstandard.FLUSH_BLOCK)
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._unsubscribe()
        self._writer.close()  # pyright: ignore[reportUnknownMemberType]
        self._file.close()

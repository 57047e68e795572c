"""Write everything that happens to a file, as it happens."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import msgspec
import zstandard

from core.bus import Bus
from core.events import Alert, AnyEvent, RecordingChanged, Tick
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

    Opening raises OSError and leaves an existing file alone. A disk that is full later ends the recording,
    which is said, and nothing else; what was flushed before can be played.
    """

    def __init__(self, bus: Bus, path: Path) -> None:
        self.path = path
        # What was asked and answered is in it: for its owner alone.
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._bus = bus
        self._writer = zstandard.ZstdCompressor(level=3).stream_writer(self._file)
        self.failed = False
        """Nothing more is written, which was said."""
        header = Header(started=time.time(), software=software(), state=bus.state)
        self._writer.write(msgspec.json.encode(header) + b"\n")
        self._flush()
        self._unsubscribe = bus.subscribe(self._take)

    def _take(self, event: AnyEvent) -> None:
        try:
            self._writer.write(msgspec.json.encode(event) + b"\n")
            if isinstance(event, Tick):
                self._flush()
        except OSError as error:
            self._unsubscribe()
            self.failed = True
            text = f"the recording ends here: {error.strerror or error}"
            self._bus.publish(Alert(t=event.t, level="error", subject=self.path.name, text=text))
            self._bus.publish(RecordingChanged(t=event.t, path=""))

    def _flush(self) -> None:
        # A block is readable once flushed, though its frame is still open: a cut loses a second at most.
        self._writer.flush(zstandard.FLUSH_BLOCK)
        self._file.flush()

    def close(self) -> None:
        """Finish the file. Does nothing more where it has failed already."""
        if not self.failed:
            self._unsubscribe()
        with contextlib.suppress(OSError):
            self._writer.close()  # pyright: ignore[reportUnknownMemberType]
        with contextlib.suppress(OSError):
            self._file.close()

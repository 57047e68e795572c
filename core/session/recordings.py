"""What of the cluster's life goes to files, and since when."""

from __future__ import annotations

import time

from core import events as ev
from core.bus import Bus
from core.session.record import Recorder, unnamed
from core.text import clean_line


class Recordings:
    """At most one recording at a time, begun and ended while the cluster lives."""

    def __init__(self, bus: Bus, recorder: Recorder | None) -> None:
        self._bus = bus
        self._recorder = recorder

    @property
    def active(self) -> bool:
        """A file is being written."""
        return self._recorder is not None and not self._recorder.failed

    def announce(self) -> None:
        """Say what is being recorded from the start."""
        if self._recorder is not None:
            self._say(str(self._recorder.path))

    def begin(self, kind: str) -> None:
        """Record from here on, into a new file named after `kind`; says so where that cannot be."""
        if self.active:
            return
        self.close()
        try:
            self._recorder = Recorder(self._bus, unnamed(kind))
        except OSError as error:
            reason = f"cannot record: {error.strerror}"
            self._bus.publish(ev.Alert(t=time.time(), level="error", subject="recording", text=reason))
            return
        self._say(str(self._recorder.path))

    def end(self) -> None:
        """Finish the file, if one is being written."""
        if self._recorder is not None and not self._recorder.failed:
            recorder, self._recorder = self._recorder, None
            self._say("")
            recorder.close()
            text = clean_line(f"saved as {recorder.path}", 1000)
            self._bus.publish(ev.Alert(t=time.time(), level="info", subject="recording", text=text))

    def close(self) -> None:
        """Finish the file without a word."""
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _say(self, path: str) -> None:
        self._bus.publish(ev.RecordingChanged(t=time.time(), path=clean_line(path, 1000)))

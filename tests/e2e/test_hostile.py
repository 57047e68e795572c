"""The hostile corpus on a real terminal: every string a stranger can send is shown, and none is obeyed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from core import events as ev
from core.bus import Bus
from core.session.record import Recorder
from tests.fuzz import HOSTILE
from tests.tui import scenes

LIMIT_S = 90.0
SIZE = (48, 160)
OBEYED = re.compile(
    rb"\x1b(?!\[[0-9;:]*[mHKC]|\[[?<>=][0-9;]*\$?[a-zA-Z]|\]22;)"  # anything but pictures and Textual's modes
    rb"|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]|[\x00-\x06\x08\x0b\x0c\x0e-\x1a\x7f]"
)
ASKED = re.compile(rb"\x1b\[\?(?:1049|1000|1003|1006|2004|25)[hl]")


def _told(t: float) -> list[ev.AnyEvent]:
    """The corpus in every field that somebody else fills."""
    events: list[ev.AnyEvent] = []
    for number, raw in enumerate(HOSTILE):
        text = raw.encode(errors="replace").decode()
        name = f"{number}{text}"
        events += [
            ev.PeerSeen(t=t, key=name, name=name, host=text, addresses=(text,), port=22,
                services=(text,), txt={text: text}),
            ev.DeviceSeen(t=t, device=name, name=name, address=text, status="lost", detail=text),
            ev.Alert(t=t, level="error", subject=text, text=text),
            ev.RankLogged(t=t, run="run-1", rank=0, line=text),
            ev.RequestStarted(t=t, request=name, conversation="c1", prompt=text),
            ev.TokensStreamed(t=t, request=name, ids=(1,), text=f"{text} ", thought=text),
            ev.RequestDone(t=t, request=name, why="error", detail=text),
            ev.LinkFailed(t=t, source=name, target=text, reason=text),
        ]  # fmt: skip
    return events


class Terminal:
    """A program in a pty of its own, and every byte that it wrote."""

    def __init__(self, *args: object, **env: str) -> None:
        self.out = b""
        self._fd, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui", *map(str, args)],
            stdin=end, stdout=end, stderr=end, env=os.environ | {"TERM": "xterm-256color"} | env,
            start_new_session=True,
        )  # fmt: skip
        os.close(end)

    def reads(self, true: object = None, seconds: float = LIMIT_S) -> bool:
        """Take what comes until `true` is in it, or the program has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if isinstance(true, bytes) and true in self.out:
                return True
            if select.select([self._fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self._fd, 1 << 16)
                except OSError:
                    return True
                if not data:
                    return True
                self.out += data
        return False

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


@pytest.mark.timeout(300)
def test_nothing_hostile_reaches_the_terminal_and_nothing_is_obeyed(tmp_path: Path) -> None:
    bus, recording = Bus(), tmp_path / "recording"
    recorder = Recorder(bus, recording)
    for event in [*scenes.everything(), *_told(scenes.T0 + 200)]:
        bus.publish(event)
    recorder.close()
    themes = tmp_path / "config/themes"
    themes.mkdir(parents=True)
    (themes / "\x1b]0;owned\x07.toml").write_text("name = '\\u001b]0;owned\\u0007'\n")
    (themes / "evil.toml").write_text('name = "\\u001b]52;c;aGk=\\u0007"\nprimary = "[@click=app.quit]"\n')
    terminal = Terminal(
        "replay", recording, "--speed", 64, EXO_TUI_CONFIG=str(tmp_path / "config"), HOME=str(tmp_path)
    )
    try:
        assert terminal.reads(b"Cluster"), terminal.out
        for key in "1234]12?":
            terminal.press(key)
            terminal.reads(seconds=1.0)
        terminal.press("\x1b")
        terminal.reads(seconds=1.0)
        assert terminal.process.poll() is None, terminal.out[-2000:]
        terminal.press("q")
        assert terminal.reads(), "it did not quit"
        assert terminal.process.wait(LIMIT_S) == 0
    finally:
        terminal.close()
    assert len(terminal.out) > 5000
    found = OBEYED.search(terminal.out)
    assert found is None, terminal.out[max(0, found.start() - 60) : found.end() + 60]
    # Modes are entered once and left once: nobody else switched them.
    modes = ASKED.findall(terminal.out)
    assert modes.count(b"\x1b[?1049h") == modes.count(b"\x1b[?1049l") == 1

"""Hostile strings through every entry, and what a terminal is then sent: `python -m tests.hostile [N]`.

N generated strings, 10,000 by default, come as adverts, as what an agent, a rank and a model say, as a
recording, as themes and as settings. The real console shows all of it in a pty, screen after screen; every
byte that it writes is looked at. tests/e2e/test_hostile.py does it with the corpus and some generated ones.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import random
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from core import events as ev
from core.bus import Bus
from core.peers.adverts import Board, advert
from core.probe import message, parse
from core.remote.local import LocalMachine
from core.run import protocol
from core.run.rank import Rank
from core.session.record import Recorder
from tests.fuzz import SEEDS, text
from tests.tui import scenes

LIMIT_S = 90.0
SIZE = (48, 160)
BATCH = 250
KEYS = "1234]12?"
T = scenes.T0 + 200
OBEYED = re.compile(
    rb"\x1b(?!\[[0-9;:]*[mHKC]|\[[?<>=][0-9;]*\$?[a-zA-Z]|\]22;)"  # anything but pictures and Textual's modes
    rb"|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]|[\x00-\x06\x08\x0b\x0c\x0e-\x1a\x7f]"
)
ASKED = re.compile(rb"\x1b\[\?(?:1049|1000|1003|1006|2004|25)[hl]")
FIXED = ("ev", "event", "system", "phase", "compute", "state", "signal", "level", "why")
"""What a line is known by: with another word there it is none, and refused as a whole."""
Said = dict[str, Any]
Publish = Callable[[ev.AnyEvent], None]


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

    def reads(self, true: bytes | None = None, seconds: float = LIMIT_S) -> bool:
        """Take what comes until `true` is in it, or the program has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if true is not None and true in self.out:
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

    def leaves(self) -> bool:
        """Press q until it has ended: behind an escape not read yet, the first one is an alt+q."""
        for _ in range(3):
            self.press("q")
            if self.reads(seconds=LIMIT_S / 3):
                return True
        return False

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


def _bent(said: Any, raw: str) -> Any:
    """A line with `raw` wherever whoever sends it may write what he likes."""
    if isinstance(said, dict):
        return {key: one if key in FIXED else _bent(one, raw) for key, one in said.items()}
    if isinstance(said, list):
        return [_bent(one, raw) for one in said]
    if not isinstance(said, str):
        return said
    # What a system prints is one text, of which a part is free.
    return f"model name : {raw}\nMemTotal: 9 kB\n" if said.endswith("\n") else raw


def _line(said: Said, raw: str) -> bytes:
    return json.dumps(_bent(said, raw)).encode()


def _from_devices(raw: str, publish: Publish) -> None:
    """As an agent and a rank say it; what is refused is refused."""
    for seed in SEEDS["agent"]:
        try:
            said = message.read(_line(seed, raw))
            if isinstance(said, message.Facts):
                publish(parse.facts(said, "demo-a", T))
            elif isinstance(said, message.Sample):
                publish(parse.sample(said, "demo-a", T))
        except ValueError as error:
            publish(ev.Alert(t=T, level="error", subject="demo-a", text=str(error)))
    rank = Rank("run-1", 0, "demo-a", LocalMachine(sys.executable, Path()), publish)
    for seed in SEEDS["worker"]:
        try:
            rank._take(protocol.decode(_line(seed, raw)))
        except ValueError as error:
            publish(ev.RankLogged(t=T, run="run-1", rank=0, line=str(error)))
    if rank.error:
        publish(ev.RankLogged(t=T, run="run-1", rank=0, line=rank.error))


def _from_a_file(number: int, raw: str) -> Iterator[ev.AnyEvent]:
    """As a recording has it that no console of ours has written: in every field."""
    said = raw.encode(errors="replace").decode()
    name = f"{number}{said}"
    yield ev.PeerSeen(t=T, key=name, name=name, host=said, addresses=(said,), port=22,
        services=(said,), txt={said: said})  # fmt: skip
    yield ev.DeviceSeen(t=T, device=name, name=name, address=said, status="lost", detail=said)
    yield ev.Alert(t=T, level="error", subject=said, text=said)
    yield ev.RankLogged(t=T, run="run-1", rank=0, line=said)
    yield ev.RequestStarted(t=T, request=name, conversation="c1", prompt=said)
    yield ev.TokensStreamed(t=T, request=name, ids=(1,), text=f"{said} ", thought=said)
    yield ev.RequestDone(t=T, request=name, why="error", detail=said)
    yield ev.LinkFailed(t=T, source=name, target=said, reason=said)


def _recorded(texts: Sequence[str], path: Path) -> None:
    bus = Bus()
    recorder = Recorder(bus, path)
    for event in scenes.everything():
        bus.publish(event)
    board = Board(bus.publish, scope=None, clock=lambda: T)
    for number, raw in enumerate(texts):
        encoded = raw.encode(errors="replace")
        board.put(
            advert(f"{raw}._ssh._tcp.local.", "_ssh._tcp.local.", raw, 22, ["10.0.0.1"], {encoded: encoded})
        )
        _from_devices(raw, bus.publish)
        for event in _from_a_file(number, raw):
            bus.publish(event)
    recorder.close()


def _themed(texts: Sequence[str], folder: Path) -> None:
    """Themes whose file, name and colours are hostile."""
    folder.mkdir(parents=True)
    for number, raw in enumerate(texts):
        told = json.dumps(raw.encode(errors="replace").decode())
        (folder / f"{number}.toml").write_text(f"name = {told}\nprimary = {told}\n")
        named = "".join(char for char in raw if char not in "/\0")[:40].encode(errors="replace").decode()
        (folder / f"{number}{named}.toml").write_text(f"name = {told}\n")


def _unharmed(terminal: Terminal) -> None:
    found = OBEYED.search(terminal.out)
    assert found is None, terminal.out[max(0, found.start() - 60) : found.end() + 60]


def _shows(texts: Sequence[str], folder: Path) -> None:
    """The console on a recording, and on themes."""
    _recorded(texts, folder / "recording")
    _themed(texts, folder / "config/themes")
    config = str(folder / "config")
    terminal = Terminal(
        "replay", folder / "recording", "--speed", 64, EXO_TUI_CONFIG=config, HOME=str(folder)
    )
    try:
        assert terminal.reads(b"Cluster"), terminal.out
        for key in (*KEYS, "\x1b", "T", "\x1b"):
            terminal.press(key)
            terminal.reads(seconds=1.0)
        assert terminal.process.poll() is None, terminal.out[-2000:]
        assert terminal.leaves(), "it did not quit"
        assert terminal.process.wait(LIMIT_S) == 0
    finally:
        terminal.close()
    assert len(terminal.out) > 5000
    _unharmed(terminal)
    # Modes are entered once and left once: nobody else switched them.
    modes = ASKED.findall(terminal.out)
    assert modes.count(b"\x1b[?1049h") == modes.count(b"\x1b[?1049l") == 1


def _refuses(raw: str, folder: Path) -> None:
    """Settings: what a command says of them."""
    told = json.dumps(raw.encode(errors="replace").decode())
    folder.mkdir()
    (folder / "config.toml").write_text(f"[[device]]\nhost = {told}\nname = {told}\n{told} = 1\n")
    terminal = Terminal("info", EXO_TUI_CONFIG=str(folder), HOME=str(folder))
    try:
        terminal.reads()
        assert terminal.process.wait(LIMIT_S) in (0, 2), terminal.out
    finally:
        terminal.close()
    assert b"Traceback" not in terminal.out, terminal.out
    _unharmed(terminal)


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[at : at + BATCH] for at in range(0, len(texts), BATCH))


def generated(count: int) -> list[str]:
    """The same for the same count."""
    chance = random.Random(count)
    return [text(chance) for _ in range(count)]


def check(texts: Sequence[str], *, settings: int) -> None:
    """Fail where a terminal was sent what it obeys; so many of them come as settings too."""
    with tempfile.TemporaryDirectory() as folder:
        for number, raw in enumerate(texts[:settings]):
            _refuses(raw, Path(folder) / f"settings-{number}")
        for number, batch in enumerate(_batches(texts)):
            own = Path(folder) / str(number)
            own.mkdir()
            _shows(batch, own)
            print(f"{min(len(texts), (number + 1) * BATCH)} of {len(texts)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    check(generated(asked), settings=asked // 50)
    print(f"{asked} strings through every entry: none reached the terminal raw")

"""Lines nobody should send, into everything that reads lines: refused in one clean sentence, or taken.

    python -m tests.fuzz [N]

feeds 100,000 by default; tests/unit/test_fuzz.py some thousand. Where an input raises anything but what the
reader promises, it is printed with its number: the same number makes the same input again.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import msgspec
import zstandard

from core.bus import Bus
from core.config import _File
from core.events import AnyEvent
from core.peers.adverts import Board, advert
from core.probe import message, parse
from core.remote.hostkeys import HostKeys
from core.run import protocol
from core.session import format as session
from core.state import apply
from core.text import clean
from tui.driver import harmless

HOSTILE: list[str] = json.loads((Path(__file__).parent / "fixtures/hostile.json").read_text())
KEYS = [asyncssh.generate_private_key("ssh-ed25519").convert_to_public() for _ in range(2)]
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, -(2**70), 1e308, -0.0, 0.1)
SEEDS: dict[str, list[dict[str, Any]]] = {
    "worker": [
        {"ev": "hello", "pid": 1, "python": "3.11", "mlx": "0", "mlx_lm": "0", "compute": "cpu"},
        {"ev": "tokens", "id": "r", "ids": [1, 2], "text": "so", "logprobs": [[1, -0.5, "so"]]},
        {"ev": "tokens", "id": "r", "ids": [], "calls": [{"name": "f", "arguments": "{}"}], "thought": "hm"},
        {"ev": "phase", "phase": "load", "done": 1, "total": 9},
        {"ev": "beat", "state": "busy", "age": 0.1, "step": 4, "active": 1, "peak": 2, "cache": 3},
        {"ev": "error", "phase": "wire", "text": "lost rank 1", "rank": 1},
        {"ev": "halted", "on": True},
        {"ev": "exit", "code": None, "signal": "SIGKILL", "why": ""},
        {"ev": "done", "id": "r", "why": "stop", "tokens": 3, "ttft_s": 0.2},
    ],
    "agent": [
        {"ev": "facts", "system": "Linux", "node": "n", "release": "6", "machine": "x", "python": "3",
         "sources": {"cpuinfo": "model name : x\n", "meminfo": "MemTotal: 1 kB\n"}},
        {"ev": "sample", "system": "Linux", "seq": 0, "sources": {"meminfo": "MemTotal: 1 kB\n"}},
        {"ev": "sample", "system": "Darwin", "seq": 1, "sources": {"vm_stat": "Pages free: 1.\n"}},
        {"ev": "listening", "ports": {"127.0.0.1": 4}, "failed": {}},
        {"ev": "probed", "id": "1", "rtts_us": [1.0, 2.0], "sent": 2, "lost": 0},
        {"ev": "refused", "reason": "no"},
    ],
    "session": [
        {"event": "Tick", "t": 1.0},
        {"event": "Alert", "t": 1.0, "level": "info", "subject": "a", "text": "b"},
        {"event": "PeerSeen", "t": 1.0, "key": "k", "name": "n", "host": "h", "addresses": ["::1"],
         "port": 22, "services": ["_ssh._tcp"], "txt": {"a": "b"}},
        {"event": "RankExited", "t": 1.0, "run": "r", "rank": 0, "code": 1},
    ],
}  # fmt: skip


def text(chance: random.Random) -> str:
    """A string with a taste for trouble."""
    match chance.randrange(6):
        case 0 | 1:
            return chance.choice(HOSTILE)
        case 2:
            return "".join(chr(chance.randrange(0x20)) for _ in range(chance.randrange(12)))
        case 3:
            return "".join(chr(chance.randrange(0x110000)) for _ in range(chance.randrange(20)))
        case 4:
            return (
                "\x1b"
                + chance.choice("[]P_^XN#(c")
                + str(chance.choice(NUMBERS))
                + chance.choice("mhlt;\x07")
            )
        case _:
            return chance.choice(
                ["", " ", "a" * 5000, "[@click=app.quit]x[/]", "[/]", "../../etc", "%s%n", "-oX"]
            )


def value(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    match chance.randrange(9 if depth < 3 else 6):
        case 0 | 1:
            return text(chance)
        case 2:
            return chance.choice(NUMBERS)
        case 3:
            return chance.choice([None, True, False])
        case 4 | 5:
            return chance.randrange(-3, 70)
        case 6:
            return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
        case _:
            return {text(chance): value(chance, depth + 1) for _ in range(chance.randrange(4))}


def line(chance: random.Random, kind: str) -> bytes:
    """A line of a kind: a good one, bent in one or more places."""
    said = dict(chance.choice(SEEDS[kind]))
    for _ in range(chance.randrange(4)):
        name = chance.choice([*said, text(chance)])
        if chance.random() < 0.2:
            said.pop(name, None)
        else:
            said[name] = value(chance)
    data = bytearray(json.dumps(said, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass"))
    if chance.random() < 0.02:
        data[1:1] = b'"more":' + b"[" * 5000 + b"]" * chance.choice([0, 5000]) + b","
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(3):
            case 0:
                data[at:at] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randrange(9)]
            case _:
                data[at:at] = data[:at]
    return bytes(data)


def _sound(chance: random.Random) -> str:
    """A text that can be encoded at all."""
    return text(chance).encode(errors="replace").decode()


def strings(said: Any) -> list[str]:
    """Every string in a decoded value."""
    if isinstance(said, str):
        return [said]
    if isinstance(said, msgspec.Struct):
        # `raw` is for programs, and no screen may show it.
        said = {k: v for k, v in msgspec.structs.asdict(said).items() if k != "raw"}
    if isinstance(said, dict):
        return [one for pair in said.items() for part in pair for one in strings(part)]
    if isinstance(said, tuple | list):
        return [one for part in said for one in strings(part)]
    return []


def shown(said: Any) -> None:
    """What may be shown has nothing in it that a terminal obeys."""
    for one in strings(said):
        for char in one:
            assert char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs"), (one, char)


def _refused(work: Callable[[], Any], *errors: type[Exception]) -> Any:
    try:
        return work()
    except errors as error:
        told = str(error)
        assert "\x1b" not in told and "\n" not in told, f"a complaint that needs cleaning itself: {told!r}"
        return None


def worker(chance: random.Random) -> None:
    """The control channel of a rank."""
    shown(_refused(lambda: protocol.decode(line(chance, "worker")), ValueError))


def agent(chance: random.Random) -> None:
    """The agent's lines, and what they are parsed to."""
    said = _refused(lambda: message.read(line(chance, "agent")), ValueError)
    if isinstance(said, message.Facts):
        shown(_refused(lambda: parse.facts(said, "mac", 1.0), ValueError))
    elif isinstance(said, message.Sample):
        shown(_refused(lambda: parse.sample(said, "mac", 1.0), ValueError))


def recording(chance: random.Random, folder: Path) -> None:
    """A session file: damaged, cut, or made by somebody who means harm."""
    header = session.Header(started=1.0, software={_sound(chance): _sound(chance)}, state=Bus().state)
    lines = [msgspec.json.encode(header), *(line(chance, "session") for _ in range(3))]
    data = zstandard.ZstdCompressor().compress(b"\n".join(lines) + b"\n")
    if chance.random() < 0.5:
        data = data[: chance.randrange(len(data))]
    if chance.random() < 0.3 and data:
        at = chance.randrange(len(data))
        data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    path = folder / "fuzzed"
    path.write_bytes(data)
    read = _refused(lambda: session.read(path), session.RecordingError)
    if read is not None:
        shown(read)
        state = read.header.state
        for event in read.events:
            state = apply(state, event)


def peers(chance: random.Random) -> None:
    """Adverts, as zeroconf hands them over."""
    heard: list[AnyEvent] = []
    board = Board(heard.append, scope=None, clock=lambda: 1.0)
    for _ in range(chance.randrange(1, 4)):
        name = text(chance)
        txt = {
            text(chance).encode(errors="replace"): chance.choice(
                [None, text(chance).encode(errors="replace")]
            )
            for _ in range(chance.randrange(5))
        }
        board.put(advert(f"{name}._ssh._tcp.local.", "_ssh._tcp.local.", text(chance), 22, ["10.0.0.1"], txt))
        if chance.random() < 0.3:
            board.remove(f"{name}._ssh._tcp.local.")
    shown(heard)


def settings(chance: random.Random) -> None:
    """config.toml, as far as its contents go."""
    local = chance.choice(["true", "1", json.dumps(text(chance))])
    bent = f"local = {local}\n[[device]]\nhost = {json.dumps(text(chance))}\n"

    def read() -> Any:
        try:
            return msgspec.convert(tomllib.loads(bent), _File)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError):
            return None

    read()


def pins(chance: random.Random, folder: Path) -> None:
    """Host keys pinned under any name: none of them is ever another host's, and none hides another's."""
    keys = HostKeys(folder / "known_hosts")
    keys.path.unlink(missing_ok=True)
    keys.pin("mini.local", 22, KEYS[0])
    name = chance.choice([text(chance), "studio.local", "mini", "192.0.2.7", "*"])
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(name) + 1)
        name = name[:at] + chance.choice("*?!,#@|/[]-: \t\n\x85\u2028\x1c\\0") + name[at:]
    port = chance.choice([22, 2222])
    _refused(lambda: keys.pin(name, port, KEYS[1]), ValueError)
    for host, address in (("studio.local", "192.0.2.7"), ("mini.local", ""), ("", "::1"), ("*", "10.0.0.1")):
        for asked in (22, 2222):
            found = keys.load().match(host, address, None if asked == 22 else asked)[0]
            assert KEYS[1] not in found or name in (host, address), (name, port, host, asked)
            assert host != "mini.local" or KEYS[0] in found or name == host, (name, port)


def terminal(chance: random.Random) -> None:
    """Whatever is written, the driver lets nothing through but a picture."""
    out = harmless(f"\x1b[1;1H\x1b[31m{text(chance)}{text(chance)}\x1b[0m")
    for order in (
        "\x1b]",
        "\x1bP",
        "\x1b_",
        "\x1b^",
        "\x1bX",
        "\x1bc",
        "\x9b",
        "\x9d",
        "\x1b[?1049",
        "\x1b[6n",
    ):
        assert order not in out
    shown(clean(text(chance)))


def run(count: int) -> list[str]:
    """Feed so many inputs, in turns; the failures, a line each."""
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        ways: list[Callable[[random.Random], None]] = [
            worker, agent, peers, settings, terminal, lambda chance: recording(chance, Path(folder)),
            lambda chance: pins(chance, Path(folder)),
        ]  # fmt: skip
        for number in range(count):
            try:
                ways[number % len(ways)](random.Random(number))
            except Exception as error:  # exactly what is looked for
                failures.append(f"{number}: {type(error).__name__}: {error!r}"[:300])
    return failures


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    found = run(asked)
    print("\n".join(found[:20]))
    print(f"{asked} inputs, {len(found)} unhandled")
    sys.exit(1 if found else 0)

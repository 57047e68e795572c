"""How a program reaches a device: on stdin, in front of everything else it will read there.

Nothing is written to the device's disk, and no shell quotes the program.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

BOOT = (
    "import os,struct\n"
    "def r(n):\n"
    " b=b''\n"
    " while len(b)<n:\n"
    "  d=os.read(0,n-len(b))\n"
    "  if not d: os._exit(0)\n"
    "  b+=d\n"
    " return b\n"
    "exec(compile(r(struct.unpack('>Q',r(8))[0]),'agent','exec'),{'__name__':'__main__'})\n"
)
"""For `python -I -S -u -c BOOT`: run the program framed on stdin and leave the rest of stdin to it.

Bytes are read with `os.read`, because a buffered reader would swallow what follows the program.
"""


def framed(source: bytes) -> bytes:
    """`source` as BOOT expects it: its length in 8 bytes, big-endian, then itself."""
    return struct.pack(">Q", len(source)) + source


def agent() -> bytes:
    """The agent, framed."""
    return framed(Path(__file__).with_name("agent.py").read_bytes())


NOT_FOUND = 127
"""What a shell, and the guard, exits with when there is no such program."""

GUARD = """case "$(uname):$(command -v "$1")" in
Darwin:/usr/bin/python3) xcode-select -p >/dev/null 2>&1 || exit 127 ;;
esac
exec "$@\""""
"""For `sh -c GUARD sh PYTHON ARGUMENT…`: on a Mac without developer tools /usr/bin/python3 is a stub that
opens a dialog on its screen. There is no Python then, which 127 says."""


def guarded(argv: Sequence[str]) -> list[str]:
    """How a device's Python is started while nobody knows what it is; ends with NOT_FOUND if it is none."""
    return ["sh", "-c", GUARD, "sh", *argv]


def shell_agent() -> str:
    """The agent for a device without Python, as the argument of `sh -c`."""
    return Path(__file__).with_name("agent.sh").read_text()

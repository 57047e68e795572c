"""A Python of its own on a device, with the versions of mlx and mlx-lm that this console has.

Made only after a person's yes, in one folder, and gone with that folder. A second try goes on with what the
first one left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib.metadata import version

from core.remote.machine import Machine
from core.remote.ssh import quoted
from core.text import clean_line

FOLDER = ".local/share/exo-tui/python"
"""In the user's home on the device. Nothing outside it is written, but caches of uv and pip."""

LIMIT_S = 1800.0
"""Seconds: some 200 MB to fetch, over any link."""

# What a shell without a terminal does not have in its PATH on a Mac.
_SCRIPT = """
set -e
PATH="$HOME/.local/bin:/opt/homebrew/bin:/usr/local/bin:$PATH"
python={python} dir="$HOME/{folder}"
[ "$(uname)" = Linux ] && mlx='mlx[cpu]' || mlx=mlx
if command -v uv >/dev/null; then
    uv venv --quiet --allow-existing --python '>=3.10' "$dir"
    uv pip install --python "$dir/bin/python" "$mlx=={mlx}" mlx-lm=={mlx_lm}
else
    found=$(command -v "$python") || {{ echo "there is neither uv nor $python"; exit 1; }}
    # Without the developer tools that one is a window on the Mac's screen, asking to install them.
    if [ "$(uname)" = Darwin ] && [ "$found" = /usr/bin/python3 ] && ! xcode-select -p >/dev/null 2>&1; then
        echo "this Mac has no Python yet: install uv or Python on it first"; exit 1
    fi
    "$python" -m venv "$dir"
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off \\
        "$dir/bin/python" -m pip install "$mlx=={mlx}" mlx-lm=={mlx_lm}
fi
: >"$dir/.complete"
"""


def here() -> dict[str, str]:
    """The versions of mlx and mlx-lm that this console has, which need not be imported for that."""
    return {name: version(name) for name in ("mlx", "mlx-lm")}


def folder(wanted: Mapping[str, str]) -> str:
    """Where the Python with those versions of `mlx` and `mlx-lm` is, if it was made."""
    return f"{FOLDER}/mlx-{wanted['mlx']}-mlx-lm-{wanted['mlx-lm']}"


def is_ours(python: str) -> bool:
    """Whether an interpreter is one that was made there."""
    return python.startswith(f"~/{FOLDER}/")


async def made(machine: Machine, wanted: Mapping[str, str]) -> str | None:
    """The interpreter made there earlier; None when there is none. Raises OSError."""
    there = await machine.has(f"{folder(wanted)}/.complete")
    return f"~/{folder(wanted)}/bin/python" if there else None


async def provision(machine: Machine, wanted: Mapping[str, str], report: Callable[[str], None]) -> None:
    """Make it, telling each line of the installer. Raises OSError with the last one where that fails."""
    script = _SCRIPT.format(
        python=quoted(machine.python),
        folder=folder(wanted),
        mlx=wanted["mlx"],
        mlx_lm=wanted["mlx-lm"],
    )
    process = await machine.start(["sh", "-c", f"exec 2>&1\n{script}"])
    last = ""
    try:
        async with asyncio.timeout(LIMIT_S):
            async for line in process.lines():
                last = clean_line(line.decode(errors="replace")) or last
                report(last)
            ended = await process.wait()
    except TimeoutError:
        raise OSError(f"not done in {LIMIT_S / 60:.0f} minutes; last: {last}") from None
    finally:
        process.kill()
    if ended.code != 0:
        raise OSError(last or f"the installer ended with {ended.signal or ended.code}")


async def remove(machine: Machine) -> None:
    """Remove every Python made there. Raises OSError."""
    process = await machine.start(["sh", "-c", f'rm -rf "$HOME/{FOLDER}"'])
    ended = await process.wait()
    if ended.code != 0:
        raise OSError(f"{FOLDER} was not removed")

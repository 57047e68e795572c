"""What a device must have before it can hold a rank, and the remedy for what it has not.

A look is one line for the device's own interpreter; what it says is judged here, by pure functions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from core.events import Check, DeviceChecked
from core.probe.frame import NOT_FOUND, guarded
from core.remote import provision
from core.remote.machine import Exit, Machine
from core.text import MALFORMED, clean_line, size

LIMIT_S = 20.0
"""Seconds for the look: the first start of an interpreter from a cold disk takes a few."""

END_S = 2.0

CLOCK_S = 5.0
"""Seconds between two clocks that make the logs of two devices hard to read side by side."""

DISK = 2 * 2**30
"""Bytes that should be free, for the worker and a shard of a small model."""

OLDEST = (3, 10)
"""Python that the wheels of mlx are made for."""

MARK = "exo-tui-preflight "
"""Before what the look says: a login shell may print lines of its own."""

LOOK = f"""
import json, shutil, sys, time
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ''
print({MARK!r} + json.dumps(dict(python='%d.%d.%d' % sys.version_info[:3], mlx=version('mlx'),
    mlx_lm=version('mlx-lm'), time=time.time(), disk=shutil.disk_usage('.').free)))
"""

Version = Annotated[str, Meta(max_length=64)]


class Seen(msgspec.Struct, frozen=True):
    """What the look says. `time` is Unix time by the device's clock, `disk` the free bytes at its home."""

    python: Version
    mlx: Version
    mlx_lm: Version
    time: float
    disk: int


async def preflight(machine: Machine, device: str, wanted: Mapping[str, str], now: float) -> DeviceChecked:
    """Look at a connected machine. `wanted` are the versions of `mlx` and `mlx-lm` here. Raises OSError."""
    process = await machine.start(guarded([machine.python, "-E", "-c", LOOK]))  # -E: as the worker is started
    try:
        async with asyncio.timeout(LIMIT_S):
            said = [line async for line in process.lines()]
            errors = [line async for line in process.errors()]
            ended = await process.wait()
    except TimeoutError:
        said, errors, ended = [], [f"no answer in {LIMIT_S:.0f} s".encode()], Exit(None)
    finally:
        process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await process.wait()
    seen, noise = read(said)
    if seen is None:
        last = clean_line(errors[-1].decode(errors="replace")) if errors else ""
        told = last or f"{machine.python} ended with {ended.signal or ended.code}"
        if ended.code == NOT_FOUND:
            told = f"there is no {machine.python}"
        remedy = "name one in config.toml with `python`, or let P in the console make one"
        return DeviceChecked(
            t=now, device=device, checks=(*machine.entry, Check("python", False, told, remedy))
        )
    return DeviceChecked(
        t=now,
        device=device,
        checks=(*machine.entry, *judge(seen, noise, wanted, now)),
        mlx=clean_line(seen.mlx),
        mlx_lm=clean_line(seen.mlx_lm),
        own=provision.is_ours(machine.python),
    )


def read(said: list[bytes]) -> tuple[Seen | None, str]:
    """What the look said, and the first line that somebody else printed; None where it said nothing sound."""
    seen, noise = None, ""
    for line in said:
        text = line.decode(errors="replace")
        if text.startswith(MARK):
            try:
                seen = msgspec.json.decode(text.removeprefix(MARK), type=Seen)
            except MALFORMED:
                continue
        else:
            noise = noise or clean_line(text)
    return seen, noise


def judge(seen: Seen, noise: str, wanted: Mapping[str, str], now: float) -> tuple[Check, ...]:
    """Every check, in the order in which they matter. `now` is this computer's time when the look began."""
    python = clean_line(seen.python)
    fresh = tuple(int(part) for part in python.split(".")[:2] if part.isdecimal()) >= OLDEST
    checks = [
        Check("python", fresh, python, "" if fresh else f"mlx needs {'.'.join(map(str, OLDEST))} or newer"),
        _version("mlx", clean_line(seen.mlx), wanted["mlx"]),
        _version("mlx-lm", clean_line(seen.mlx_lm), wanted["mlx-lm"]),
        Check(
            "disk",
            seen.disk >= DISK,
            f"{size(seen.disk)} free",
            "" if seen.disk >= DISK else "a shard of a model may not find room",
        ),
    ]
    apart = seen.time - now
    if abs(apart) > CLOCK_S:
        checks.append(Check("clock", False, f"{apart:+.0f} s off this one's", "turn on its network time"))
    else:
        checks.append(Check("clock", True, "as here"))
    if noise:
        checks.append(
            Check(
                "shell", False, f"prints {noise!r}", "let its start files print only in an interactive shell"
            )
        )
    return tuple(checks)


def _version(name: str, there: str, wanted: str) -> Check:
    if not there:
        return Check(name, False, "is not installed", f"P in the console installs {name} {wanted} there")
    if there != wanted:
        return Check(
            name, False, f"{there}, here {wanted}", "one version for all; P in the console installs it there"
        )
    return Check(name, True, there)

"""Gets what a device needs for its stage onto it, going on where an earlier try was cut off."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path

from core.models import fingerprint as fingerprints
from core.models.error import ModelError
from core.models.fingerprint import fingerprint
from core.models.shard import Content, Shard, shard
from core.models.spec import ModelSpec
from core.remote.files import Files
from core.remote.machine import Machine

COPIES = "models"
"""In our folder on the device. Whatever is in it was made here, and may go when room is needed."""

BLOCK = 2**20
"""Bytes written at a time, as 32 requests under way at once: a Gbit/s at 8 ms, and what a cut costs."""

STUCK_S = 30.0
"""Without a block written for so long the copy has failed."""

HASHED = 50e6
"""Bytes a second any device reads and hashes, at the least."""

SPARE = 2**30
"""Bytes that stay free on the device's disk."""

_DIGEST = (
    "import hashlib, sys\n"
    "digest = hashlib.sha256()\n"
    "with open(sys.argv[1], 'rb') as file:\n"
    "    for block in iter(lambda: file.read(1 << 20), b''):\n"
    "        digest.update(block)\n"
    "print(digest.hexdigest())\n"
)

_FINGERPRINT = inspect.getsource(fingerprints) + "\nimport sys\nprint(fingerprint(Path(sys.argv[1]), 0))\n"

Report = Callable[[int, int], None]


async def place(machine: Machine, spec: ModelSpec, start: int, end: int, report: Report) -> str:
    """A folder on the machine with what layers `[start, end)` need: the model's own path, or one in its
    folder of models, where that holds the same model, else a copy of just that, made now if need be, with
    `report(done, total)` in bytes.

    Raises OSError with the reason, in one line; what was copied stays, and the next try goes on from there.
    """
    for own in (spec.path, f"{machine.models}/{spec.name}" if machine.models else ""):
        if own and await machine.has(f"{own}/config.json") and await _same(machine, own, Path(spec.path)):
            return _from_home(own)
    try:
        wanted = await asyncio.to_thread(shard, spec, start, end)
    except ModelError as error:
        raise OSError(f"it has no model at {spec.path}, and it cannot be copied: {error}") from None
    copies = f"{machine.work}/{COPIES}"
    folder = f"{copies}/{wanted.name}"
    if not await machine.has(f"{folder}/{_COMPLETE}"):
        async with machine.files() as files:
            await files.make(folder)
            await _make_room(files, copies, folder, wanted)
            done = 0
            for content in wanted.contents:
                await _copy(machine, files, content, f"{folder}/{content.name}", _from(done, wanted, report))
                done += content.size
            await files.write(f"{folder}/{_COMPLETE}", 0, b"")
    return _from_home(folder)


async def _same(machine: Machine, path: str, model: Path) -> bool:
    """Whether a folder there holds the model that is here at `model`. It may be another one of the same name,
    or half of it."""
    ours = await asyncio.to_thread(fingerprint, model, 0)
    theirs = await _first_line(machine, [machine.python, "-I", "-c", _FINGERPRINT, path], STUCK_S)
    return bool(ours) and theirs == ours


def _from_home(path: str) -> str:
    return path if path.startswith("/") else f"~/{path}"


_COMPLETE = ".complete"


def _from(before: int, wanted: Shard, report: Report) -> Callable[[int], None]:
    return lambda done: report(before + done, wanted.size)


async def _make_room(files: Files, copies: str, folder: str, wanted: Shard) -> None:
    """Remove older copies of ours while the disk has no room. Raises OSError where that is not enough."""
    paths = [f"{folder}/{content.name}" for content in wanted.contents]
    there = [await files.size(path) or await files.size(_part(path)) or 0 for path in paths]
    needed = wanted.size - sum(there) + SPARE
    older = [name for name in await files.folders(copies) if name != wanted.name]
    while (free := await files.free(folder)) is not None and free < needed:
        if not older:
            raise OSError(f"its disk has {free / 1e9:.1f} GB free; the copy needs {needed / 1e9:.1f} GB")
        await files.remove(f"{copies}/{older.pop(0)}")


def _part(path: str) -> str:
    return f"{path}.part"


async def _copy(
    machine: Machine, files: Files, content: Content, path: str, report: Callable[[int], None]
) -> None:
    """One file. It has its name once it is known to be whole."""
    if await files.size(path) == content.size:
        report(content.size)
        return
    part = _part(path)
    kept = await files.size(part) or 0
    digest = hashlib.sha256()
    at = 0
    blocks = content.blocks(BLOCK)
    while block := await asyncio.to_thread(next, blocks, b""):
        await asyncio.to_thread(digest.update, block)
        new = block[max(0, kept - at) :]
        at += len(block)
        if new:
            try:
                async with asyncio.timeout(STUCK_S):
                    await files.write(part, at - len(new), new)
            except TimeoutError:
                raise OSError(f"the copy stands still: nothing was written in {STUCK_S:.0f} s") from None
            report(at)
    if await _digest(machine, part, content.size) != digest.hexdigest():
        await files.remove(part)
        raise OSError(f"{content.name} did not arrive as it was sent; the copy of it was removed")
    await files.rename(part, path)


async def _digest(machine: Machine, path: str, size: int) -> str:
    """SHA-256 of a file as the machine itself reads it."""
    argv = [machine.python, "-I", "-c", _DIGEST, path]
    return await _first_line(machine, argv, STUCK_S + size / HASHED)


async def _first_line(machine: Machine, argv: list[str], within: float) -> str:
    """What a program there prints first; nothing where it fails. Raises OSError where it takes too long."""
    process = await machine.start(argv)
    try:
        async with asyncio.timeout(within):
            said = [line async for line in process.lines()]
            await process.wait()
            return said[0].decode(errors="replace").strip() if said else ""
    except TimeoutError:
        raise OSError(f"it took too long to read {argv[-1]}") from None
    finally:
        process.kill()

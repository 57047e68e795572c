"""Conversations on disk: one file each, replaced whole, held by one console at a time.

Everything here blocks. A file is written beside its place and renamed into it, so that it is there whole or
not at all; the file in place is locked by whoever holds the conversation. The lock is on the file itself, so
it ends with the console, however that ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from core.conversations.manner import Manner
from core.events import Exchange
from core.text import MALFORMED, clean, clean_line

FORMAT = "exo-tui-conversation"
VERSION = 1
LONGEST = 2**22
"""Characters of one prompt or answer that are read."""
_ABANDONED_S = 3600.0
_ID = re.compile(r"[0-9a-z]{1,32}")


class StoreError(Exception):
    """A conversation cannot be had or kept; the text says why."""


class Elsewhere(StoreError):
    """Another console holds the conversation."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as its file has it."""

    format: str = FORMAT
    version: int = VERSION
    id: str
    changed: float
    """When something was said in it last."""
    manner: Manner = Manner()
    exchanges: tuple[Exchange, ...] = ()


class _Stamp(msgspec.Struct):
    format: str
    version: int


class Store:
    """The conversations in a folder, which is made when the first is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[str, int] = {}
        """Descriptors of the locked files by conversation."""

    def _path(self, id_: str) -> Path:
        if not _ID.fullmatch(id_):
            raise StoreError(f"{clean_line(id_)} names no conversation")
        return self.folder / f"{id_}.json"

    def take(self, id_: str) -> Stored:
        """Hold a conversation and read it. Raises StoreError and OSError."""
        path = self._path(id_)
        self._hold(id_, path)
        try:
            return _cleaned(_decoded(path))
        except (StoreError, OSError):
            self.release(id_)
            raise

    def write(self, stored: Stored) -> None:
        """Put a conversation in place of what its file has. Raises Elsewhere and OSError."""
        path = self._path(stored.id)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stored.id not in self._held:
            with contextlib.suppress(FileNotFoundError):
                self._hold(stored.id, path)
        # mkstemp makes it 0600.
        handle, name = tempfile.mkstemp(prefix=f".{stored.id}.", suffix=".new", dir=self.folder)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with open(handle, "wb", closefd=False) as file:
                file.write(msgspec.json.encode(stored))
            os.fsync(handle)
            os.replace(name, path)
        except OSError:
            os.close(handle)
            Path(name).unlink(missing_ok=True)
            raise
        self.release(stored.id)
        self._held[stored.id] = handle

    def delete(self, id_: str) -> None:
        """Remove a conversation for good. Raises StoreError and OSError."""
        path = self._path(id_)
        with contextlib.suppress(FileNotFoundError):
            self._hold(id_, path)
            path.unlink()
        self.release(id_)

    def release(self, id_: str) -> None:
        """Let other consoles have it."""
        if (handle := self._held.pop(id_, None)) is not None:
            os.close(handle)

    def all(self) -> tuple[list[Stored], list[str]]:
        """Every conversation, also those held elsewhere, and a line about each file that is none.

        Texts are as in the file: to be searched, not to be shown. A damaged file is set aside.
        """
        found: list[Stored] = []
        problems: list[str] = []
        for path in self._files():
            try:
                found.append(_decoded(path))
            except FileNotFoundError:
                continue  # deleted by another console just now
            except (StoreError, OSError) as error:
                problems.append(clean_line(str(error)))
        return found, problems

    def close(self) -> None:
        """Let go of everything."""
        for id_ in tuple(self._held):
            self.release(id_)

    def _files(self) -> Iterator[Path]:
        for path in sorted(self.folder.glob(".*.new")):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()
        yield from (path for path in sorted(self.folder.glob("*.json")) if _ID.fullmatch(path.stem))

    def _hold(self, id_: str, path: Path) -> None:
        while id_ not in self._held:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Another console may have put a newer file there between the two calls before.
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    self._held[id_] = handle
                    return
                os.close(handle)
            except BlockingIOError:
                os.close(handle)
                raise Elsewhere("another console has it open") from None
            except OSError:
                os.close(handle)
                raise


def _decoded(path: Path) -> Stored:
    data = path.read_bytes()
    try:
        stamp = msgspec.json.decode(data, type=_Stamp)
        if stamp.format == FORMAT and stamp.version > VERSION:
            raise StoreError(f"{path.name} was written by a newer exo-tui")
        if stamp.format == FORMAT:
            return replace(msgspec.json.decode(data, type=Stored), id=path.stem)
    except MALFORMED:
        pass
    aside = path.with_suffix(".damaged")
    path.rename(aside)
    raise StoreError(f"a conversation's file was damaged; it is set aside as {aside}")


def _cleaned(stored: Stored) -> Stored:
    manner = stored.manner
    return replace(
        stored,
        manner=replace(manner, title=clean_line(manner.title), system=clean(manner.system, LONGEST)),
        exchanges=tuple(
            replace(
                one,
                prompt=clean(one.prompt, LONGEST),
                text=clean(one.text, LONGEST),
                thought=clean(one.thought, LONGEST),
                done=replace(one.done, detail=clean_line(one.done.detail)) if one.done else None,
            )
            for one in stored.exchanges
        ),
    )

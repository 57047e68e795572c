"""Files of another machine."""

from __future__ import annotations

import stat
from typing import Protocol

import asyncssh
from asyncssh.constants import FXF_CREAT, FXF_WRITE


class Files(Protocol):
    """Paths are absolute, or begin at the user's home. All raise OSError when the machine is lost."""

    async def size(self, path: str) -> int | None:
        """Bytes of a file; None when there is none."""
        ...

    async def free(self, folder: str) -> int | None:
        """Bytes that the user may still write to the disk of a folder; None where nobody tells."""
        ...

    async def make(self, folder: str) -> None:
        """Make a folder, and those it is in."""
        ...

    async def write(self, path: str, at: int, data: bytes) -> None:
        """Write into a file from byte `at` on; the file is made when there is none."""
        ...

    async def rename(self, old: str, new: str) -> None: ...

    async def remove(self, path: str) -> None:
        """Remove a file, or a folder with all in it."""
        ...

    async def folders(self, path: str) -> list[str]:
        """Names of the folders in a folder, the one longest unchanged first."""
        ...


class SftpFiles:
    """Over SFTP."""

    def __init__(self, sftp: asyncssh.SFTPClient) -> None:
        self._sftp = sftp

    async def size(self, path: str) -> int | None:
        try:
            return (await self._sftp.stat(path)).size
        except asyncssh.SFTPNoSuchFile:
            return None

    async def free(self, folder: str) -> int | None:
        try:
            disk = await self._sftp.statvfs(folder)
        except asyncssh.SFTPOpUnsupported:
            return None
        return disk.bavail * disk.frsize

    async def make(self, folder: str) -> None:
        await self._sftp.makedirs(folder, exist_ok=True)

    async def write(self, path: str, at: int, data: bytes) -> None:
        async with self._sftp.open(path, FXF_WRITE | FXF_CREAT, encoding=None) as file:
            await file.write(data, at)

    async def rename(self, old: str, new: str) -> None:
        await self._sftp.posix_rename(old, new)

    async def remove(self, path: str) -> None:
        if await self._sftp.isdir(path):
            await self._sftp.rmtree(path)  # pyright: ignore[reportUnknownMemberType]
        else:
            await self._sftp.remove(path)

    async def folders(self, path: str) -> list[str]:
        found = [
            (entry.attrs.mtime or 0, str(entry.filename))
            for entry in await self._sftp.readdir(path)
            if stat.S_ISDIR(entry.attrs.permissions or 0) and str(entry.filename) not in (".", "..")
        ]
        return [name for _, name in sorted(found)]

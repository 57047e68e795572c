"""Files of the user's own: written whole or not at all, readable by nobody else, changed by one console at a
time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Generator
from pathlib import Path


def write_private(path: Path, data: bytes) -> None:
    """Put `data` in place of what `path` holds, if anything; a link stays one, and what it leads to is
    replaced. Raises OSError and leaves that alone."""
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            made.unlink()
        raise


@contextlib.contextmanager
def held(path: Path) -> Generator[None]:
    """Nobody else who asks for `path` has it meanwhile; waits for whoever has it. One that is not there is
    made, empty. Raises OSError.

    The lock is on the file itself, so it ends with the console, however that ends.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Whoever had it may have put a newer file there.
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                yield
                return
        finally:
            os.close(handle)

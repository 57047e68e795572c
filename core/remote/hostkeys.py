"""Which host keys are trusted: a file of our own beside the user's, written only on the user's word."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path

import asyncssh

_HOST_NAME = re.compile(r"[\w.:%+][\w.:%+@-]*")


def is_host_name(host: str) -> bool:
    """Whether a name is one host's and no more. The network says names too, and in known_hosts `*`, a list
    or a network would be many; a blank, a quote or a leading dash is something else in a shell."""
    return _HOST_NAME.fullmatch(host) is not None


class HostKeyUnknown(Exception):
    """Nobody has accepted this host's key yet."""

    def __init__(self, host: str, port: int, key: asyncssh.SSHKey) -> None:
        self.host = host
        self.port = port
        self.key = key
        self.algorithm = key.get_algorithm()
        self.fingerprint = key.get_fingerprint()
        super().__init__(f"unknown host key {self.fingerprint}")


class HostKeyChanged(Exception):
    """The host shows another key than the one on record: refused, never to be waved through."""


class HostKeys:
    """The recorded keys: `path` is ours and written here, `also` are files that are only read."""

    def __init__(self, path: Path, also: tuple[Path, ...] = ()) -> None:
        self.path = path
        self._also = also

    def load(self) -> asyncssh.SSHKnownHosts:
        """Everything on record. A file that does not exist holds nothing."""
        return _read(self.path, *self._also)

    def recorded(self, host: str, address: str, port: int) -> dict[Path, list[str]]:
        """Fingerprints on record for a host by its name or address, by the file that has them."""
        found: dict[Path, list[str]] = {}
        for path in (self.path, *self._also):
            known = _read(path)
            keys = [key for one in {host, address} for key in known.match(_name(one, port), "", None)[0]]
            if keys:
                found[path] = [key.get_fingerprint() for key in keys]
        return found

    def pin(self, host: str, port: int, key: asyncssh.SSHKey) -> None:
        """Record that `key` belongs to the host. Raises ValueError where that is no host's name."""
        if not is_host_name(host):
            raise ValueError(f"{host!r} is not a host name")
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.touch(mode=0o600)
        line = b"%s %s\n" % (_name(host, port).encode(), key.export_public_key().strip())
        with self.path.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # another console may be pinning a key just now
            before = file.read()
            # People edit this file: an unfinished last line must not swallow the new one.
            file.write(line if before.endswith(b"\n") or not before else b"\n" + line)
            file.flush()
            os.fsync(file.fileno())


def _name(host: str, port: int) -> str:
    return host if port == 22 else f"[{host}]:{port}"


def _read(*paths: Path) -> asyncssh.SSHKnownHosts:
    known = asyncssh.import_known_hosts("")
    for path in paths:
        for line in path.read_text(errors="replace").splitlines() if path.is_file() else ():
            # As OpenSSH does: a line that is none holds no key, and closes no door that others open.
            with contextlib.suppress(ValueError):
                known.load(line)
    return known

"""Which host keys are trusted: a file of our own beside the user's, written only on the user's word."""

from __future__ import annotations

from pathlib import Path

import asyncssh


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
        files = [str(path) for path in (self.path, *self._also) if path.is_file()]
        return asyncssh.read_known_hosts(files) if files else asyncssh.import_known_hosts("")

    def recorded(self, host: str, address: str, port: int) -> list[str]:
        """Fingerprints on record for a host by its name or address."""
        keys = self.load().match(host, address, port)[0]
        return [key.get_fingerprint() for key in keys]

    def pin(self, host: str, port: int, key: asyncssh.SSHKey) -> None:
        """Record that `key` belongs to the host."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = host if port == 22 else f"[{host}]:{port}"
        line = f"{name} {key.export_public_key().decode().strip()}\n"
        self.path.touch(mode=0o600)
        with self.path.open("a") as file:
            file.write(line)

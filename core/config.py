"""Settings: environment over config.toml, in the XDG folders."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import msgspec

from core.remote.connection import Target


class ConfigError(ValueError):
    """config.toml cannot be used; the text names the file and the reason."""


class DeviceEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[device]]` of config.toml. What is left out is left to ssh_config."""

    host: str
    name: str = ""
    user: str | None = None
    port: int | None = None
    key: str | None = None
    python: str = "python3"

    @property
    def target(self) -> Target:
        """How to reach it."""
        key = Path(self.key).expanduser() if self.key else None
        return Target(host=self.host, port=self.port, user=self.user, key=key, python=self.python)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device: tuple[DeviceEntry, ...] = ()
    local: bool = True


class Config(msgspec.Struct, frozen=True):
    """What the user set. `local`: this computer is a device of the cluster too."""

    folder: Path
    cache: Path
    devices: tuple[DeviceEntry, ...] = ()
    local: bool = True

    @property
    def known_hosts(self) -> Path:
        """Host keys accepted in the console."""
        return self.folder / "known_hosts"


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "exo-tui"


def load() -> Config:
    """The user's settings. A missing file means the defaults. Raises ConfigError."""
    folder = Path(os.environ.get("EXO_TUI_CONFIG") or _xdg("XDG_CONFIG_HOME", ".config"))
    cache = Path(os.environ.get("EXO_TUI_CACHE") or _xdg("XDG_CACHE_HOME", ".cache"))
    path = folder / "config.toml"
    if not path.exists():
        return Config(folder, cache)
    try:
        file = msgspec.convert(tomllib.loads(path.read_text()), _File)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return Config(folder, cache, file.device, file.local)

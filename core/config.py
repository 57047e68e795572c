"""Settings: environment over config.toml, in the XDG folders."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from core.files import held, write_private
from core.folders import cache_folder, config_folder, data_folder, typed
from core.options import Options
from core.plan.backend import Asked
from core.plan.propose import Mode
from core.remote.hostkeys import HostKeys
from core.remote.target import WORK, Target
from core.state import THIS_MACHINE
from core.wish import KvBits, Wish


class ConfigError(ValueError):
    """config.toml cannot be used; the text names the file and the reason."""


class DeviceEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[device]]` of config.toml. What is left out is left to ssh_config."""

    host: Annotated[str, Meta(min_length=1)]
    name: str = ""
    user: str | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    key: str | None = None
    python: str = "python3"
    work: str = WORK
    """Folder there for the worker and for copies of models."""
    models: str = ""
    """Folder there where models lie, besides the path they have on this computer."""

    @property
    def called(self) -> str:
        """What the device is called in the cluster."""
        return self.name or self.host

    @property
    def target(self) -> Target:
        """How to reach it."""
        key = typed(self.key) if self.key else None
        return Target(
            host=self.host, port=self.port, user=self.user, key=key, python=self.python,
            work=self.work, models=self.models,
        )  # fmt: skip


class Watch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[watch]`: seconds between a rank's beats, and without any before it is given up. exo's classic
    setting is 5 and 30."""

    beat: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    silent: Annotated[float, Meta(ge=0.5, le=600)] = 4.0


class Recover(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[recover]`: whether a failed run is followed by another one that goes on with its answers."""

    policy: Literal["automatic", "ask", "off"] = "automatic"
    wait: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    """Seconds a lost device has to come back before it is done without."""
    failover: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    """The same where nothing fits without it, or this computer's own network was lost."""


class _Run(Options, frozen=True, forbid_unknown_fields=True):
    """`[run]`: how ranks run, and what is asked of plans."""

    context: Annotated[int, Meta(ge=1, le=10**7)] = Wish().context
    kv_bits: KvBits = Wish().kv_bits
    mode: Mode = Wish().mode
    backend: Asked = Wish().backend

    @property
    def options(self) -> Options:
        return Options(**{name: getattr(self, name) for name in Options.__struct_fields__})

    @property
    def wish(self) -> Wish:
        return Wish(context=self.context, kv_bits=self.kv_bits, mode=self.mode, backend=self.backend)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device: tuple[DeviceEntry, ...] = ()
    local: bool = True
    watch: Watch = Watch()
    recover: Recover = Recover()
    run: _Run = _Run()


class Config(msgspec.Struct, frozen=True):
    """What the user set. `local`: this computer is a device of the cluster too."""

    folder: Path
    cache: Path
    devices: tuple[DeviceEntry, ...] = ()
    local: bool = True
    watch: Watch = Watch()
    recover: Recover = Recover()
    run: Options = Options()
    wish: Wish = Wish()
    """What is asked of plans where nothing else is said."""
    data: Path | None = None
    """For what the user made and would miss; nothing is kept where there is none."""

    @property
    def known_hosts(self) -> Path:
        """Host keys accepted in the console."""
        return self.folder / "known_hosts"

    def conversations(self, *, rehearsed: bool) -> Path | None:
        """Where conversations are kept; those of rehearsals apart."""
        return self.data / ("rehearsal" if rehearsed else "") / "conversations" if self.data else None

    @property
    def host_keys(self) -> HostKeys:
        """Those, and the ones the user's own ssh knows."""
        return HostKeys(self.known_hosts, (Path.home() / ".ssh" / "known_hosts",))


def load() -> Config:
    """The user's settings. A missing file means the defaults. Raises ConfigError."""
    folder, cache, data = config_folder(), cache_folder(), data_folder()
    path = folder / "config.toml"
    if not path.exists():
        return Config(folder, cache, data=data)
    try:
        file = _parsed(path, path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return Config(
        folder,
        cache,
        file.device,
        file.local,
        file.watch,
        file.recover,
        file.run.options,
        file.run.wish,
        data,
    )


def _parsed(path: Path, text: str) -> _File:
    """What a file says that could be used. Raises ConfigError."""
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from None
    if file.watch.silent < 2 * file.watch.beat:
        raise ConfigError(f"{path}: `silent` is to be two beats at least")
    names = Counter([entry.called for entry in file.device] + [THIS_MACHINE] * file.local)
    if twice := [name for name, count in names.items() if count > 1]:
        raise ConfigError(f"{path}: more than one device is called {', '.join(twice)}")
    return file


def keep(folder: Path, entry: DeviceEntry) -> None:
    """Add a device at the end of config.toml. Raises ConfigError where that file is unusable, and OSError."""
    path = folder / "config.toml"
    told = msgspec.to_builtins(entry)
    said = {key: value for key, value in told.items() if value not in (None, "")}
    if said.get("work") == WORK:
        del said["work"]
    # A JSON string is a TOML string, once nothing in it is left to surrogates.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in said.items()]
    with held(path):
        before = path.read_text()
        former = [before.rstrip("\n"), ""] if before.strip() else []
        text = "\n".join([*former, "[[device]]", *lines, ""])
        _parsed(path, text)
        write_private(path, text.encode())

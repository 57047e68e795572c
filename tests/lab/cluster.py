"""The product in the lab: its settings on the console, and `exo-tui` run there against the hosts' sshd."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .host import USER, Host
from .namespaces import PROJECT
from .vlab import Lab

T = TypeVar("T")

LIMIT = 60.0
"""Seconds anything may take that has no limit of its own: this machine may be busy."""


def device(host: Host, **more: object) -> dict[str, object]:
    """A lab host as config.toml and `core.config.DeviceEntry` have it."""
    key = str(host.lab.key)
    entry = {"host": host.ip, "name": host.name, "user": USER, "port": 22, "key": key}
    return {**entry, "python": sys.executable, **more}


def older(lab: Lab) -> str:
    """An environment like this one, but for an mlx that says it is older."""
    folder, version = lab.dir / "older", f"{sys.version_info.major}.{sys.version_info.minor}"
    here_are, there = (
        Path(sysconfig.get_path("purelib")),
        folder / "lib" / f"python{version}" / "site-packages",
    )
    (there / "mlx-0.20.0.dist-info").mkdir(parents=True)
    (there / "mlx-0.20.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: mlx\nVersion: 0.20.0\n"
    )
    (there / "rest.pth").write_text(f"{here_are}\n")
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to(Path(sys.executable).resolve())
    (folder / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    return str(folder / "bin/python")


NO_RECOVERY = '[recover]\npolicy = "off"\n'


class Setup:
    """A settings folder of its own: these devices, and the host keys of `pinned`."""

    def __init__(
        self,
        lab: Lab,
        name: str,
        devices: Sequence[Mapping[str, object]],
        pinned: Sequence[str],
        *,
        recovers: bool = True,
    ) -> None:
        self.lab = lab
        self.folder = lab.dir / f"console-{name}"
        self.folder.mkdir()
        tables = [
            "[[device]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
            for entry in devices
        ]
        (self.folder / "config.toml").write_text("\n".join([*tables, "" if recovers else NO_RECOVERY]))
        self.known_hosts = self.folder / "known_hosts"
        self.known_hosts.write_text("".join(lab[host].known_hosts_line() for host in pinned))

    def start(self, *argv: str | os.PathLike[str]) -> Command:
        """`exo-tui` with these arguments, on the console."""
        return Command(self, argv)


class Command:
    """A running `exo-tui`."""

    def __init__(self, setup: Setup, argv: Sequence[str | os.PathLike[str]]) -> None:
        self._log = setup.folder / "stderr"
        env = {"EXO_TUI_CONFIG": str(setup.folder), "EXO_TUI_CACHE": str(setup.folder / "cache")}
        with self._log.open("wb") as log:
            self.process = setup.lab["console"].popen(
                [sys.executable, "-m", "tui", *argv],
                cwd=PROJECT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, bufsize=0,
            )  # fmt: skip

    @property
    def complaints(self) -> str:
        return self._log.read_text()

    def complains(self, word: str) -> None:
        """Wait until it has said this on standard error."""
        end = time.monotonic() + LIMIT
        while word not in self.complaints:
            assert self.process.poll() is None and time.monotonic() < end, self.complaints
            time.sleep(0.02)

    def first_output(self) -> bytes:
        """Wait for the first bytes on standard output."""
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], LIMIT)[0], self.complaints
        said = self.process.stdout.read(1 << 16)
        assert said, f"it ended without a word: {self.complaints}"
        return said

    def end(self, timeout: float = LIMIT) -> int:
        """Wait for its end; the exit code."""
        self._rest(timeout)
        return self.process.returncode

    def answer(self) -> dict[str, Any]:
        """What it printed as JSON, when it has ended well."""
        out = self._rest(LIMIT)
        assert self.process.returncode == 0, self.complaints
        return json.loads(out)

    def _rest(self, timeout: float) -> bytes:
        """Its output to the end, which comes in time or by force."""
        try:
            return self.process.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it went on for {timeout} s: {self.complaints}") from None


def fingerprint(public_key: Path) -> str:
    """A key's fingerprint as OpenSSH prints it."""
    printed = subprocess.run(["ssh-keygen", "-lf", public_key], capture_output=True, text=True, check=True)
    return printed.stdout.split()[1]


def fingerprint_of(host: Host) -> str:
    """That of a host's key."""
    return fingerprint(host.dir / "ssh_host_ed25519_key.pub")


def workers(host: Host) -> list[int]:
    """Pids of the workers, and their guards, of a host."""
    return host.pids("worker")


def ours(host: Host) -> dict[int, str]:
    """Command lines of what runs on a host because of us: everything but sshd, which has its own mind."""
    return {pid: line for pid, line in host.ps().items() if "sshd" not in line}


def cleared(look: Callable[[], T], within: float) -> T:
    """What `look` sees: once that is nothing, at the latest after so many seconds."""
    end = time.monotonic() + within
    while (seen := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return seen

"""Avahi in a lab host: an mDNS responder that is not ours, as a Mac's is."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from typing import Any

from .host import Host, LabError

TOOLS = ("dbus-daemon", "avahi-daemon", "avahi-publish")

CONFIG = """\
[server]
use-ipv4=yes
use-ipv6=no
allow-interfaces=eth0
[publish]
publish-workstation=no
"""


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def why_no_avahi() -> str | None:
    """Why avahi cannot run here, or None."""
    missing = [tool for tool in TOOLS if not _tool(tool)]
    return f"it needs {' and '.join(missing)}" if missing else None


class Avahi:
    """One host's daemon, with the message bus it wants, and what it announces.

    Starting does not wait: `publish` does, so several hosts' daemons can start at the same time.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        config = host.dir / "avahi.conf"
        config.write_text(CONFIG)
        self._published: list[subprocess.Popen[Any]] = []
        self._daemons = [self._start("dbus-daemon", "--system", "--nofork", "--nopidfile", "--nosyslog")]
        self._wait_for("/run/dbus/system_bus_socket")
        unchanged = ["--no-drop-root", "--no-chroot", "--no-rlimits"]
        self._daemons.append(self._start("avahi-daemon", "-f", str(config), *unchanged))

    def _start(self, tool: str, *args: str) -> subprocess.Popen[Any]:
        with (self.host.dir / "avahi.log").open("ab") as log:
            return self.host.popen(
                [_tool(tool) or tool, *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait_for(self, path: str, timeout: float = 10.0) -> None:
        end = time.monotonic() + timeout
        while not self.host.path(path).exists():
            if time.monotonic() > end:
                log = (self.host.dir / "avahi.log").read_text()
                raise LabError(f"{self.host.name}: no {path} after {timeout} s: {log}")
            time.sleep(0.01)

    def publish(self, name: str, kind: str, port: int, *txt: str, timeout: float = 15.0) -> None:
        """Announce a service, and wait until the network has not objected to its name."""
        self._wait_for("/run/avahi-daemon/socket")
        command = [_tool("avahi-publish") or "avahi-publish", "-s", name, kind, str(port), *txt]
        process = self.host.popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        self._published.append(process)
        assert process.stdout is not None
        said = process.stdout.readline() if select.select([process.stdout], [], [], timeout)[0] else b""
        if not said.startswith(b"Established"):
            log = (self.host.dir / "avahi.log").read_text()
            raise LabError(f"{self.host.name}: avahi-publish said {said!r}: {log}")

    def stop(self) -> None:
        """Take the announcements back, with their goodbyes, and end the daemons."""
        for process in (*self._published, *reversed(self._daemons)):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)

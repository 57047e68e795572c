"""A throw-away cluster of virtual hosts on one Linux machine.

    with Lab(3, tb=[("h1", "h2")]) as lab:
        lab["h1"].run(["ip", "-br", "addr"])
        with lab.enter("console"):  # this thread's new sockets are the console's
            ...

Each host lives as long as a pipe that this process holds. When this process goes, even by SIGKILL, the
kernel ends every process and frees every interface: no clean-up code stands between a crash and a clean
machine. Only a directory and empty cgroups can stay, and a later lab removes them.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Any

from . import network
from .cgroup import Cgroup, remove_all
from .host import USER, Host, LabError
from .namespaces import NEWNET, setns

_PREFIX = "exo-tui-lab-"
_serial = itertools.count()


def sweep(where: Path, older_than: float = 60.0) -> None:
    """Remove what labs left whose owner was killed: nobody holds their lock any more.

    The age in seconds is there because a lab being made has no lock yet.
    """
    for leftover in where.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime < older_than:
                continue
            with (leftover / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_all(leftover.name)
            shutil.rmtree(leftover, ignore_errors=True)


class Lab:
    """`console` (10.77.0.1) and hosts `h1` (10.77.0.11), `h2`, ... on one switch.

    `tb` lists pairs of hosts joined by a Thunderbolt cable as well: see `Host.tb` for the addresses.
    """

    def __init__(self, hosts: int = 3, tb: network.Cables = ()) -> None:
        prefix = f"{_PREFIX}{os.getpid():x}-{next(_serial)}-"
        self.dir = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
        self.name = self.dir.name
        self.key = self.dir / "id_ed25519"
        self.cables = tb
        names = ["console", *(f"h{number}" for number in range(1, hosts + 1))]
        self.hosts = {name: Host(self, name, network.address(i)) for i, name in enumerate(names)}
        self.switch = Host(self, "switch", "")
        self._shim: subprocess.Popen[bytes] | None = None
        self._shimmed: set[str] = set()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __enter__(self) -> Lab:
        return self.up()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.down()

    @property
    def machines(self) -> list[Host]:
        """Every host but the console."""
        return [host for name, host in self.hosts.items() if name != "console"]

    def ssh(self, **more: Any) -> dict[str, Any]:
        """Options for `asyncssh.connect` to log in to a host; host keys are not looked at."""
        login = {"username": USER, "client_keys": [str(self.key)], "known_hosts": None, "config": None}
        return {**login, "connect_timeout": 10, "login_timeout": 10, **more}

    # -- life -----------------------------------------------------------------

    def up(self) -> Lab:
        """Make it, or nothing."""
        sweep(Path(tempfile.gettempdir()))
        atexit.register(self.down)
        try:
            self._start()
        except BaseException:
            self.down()
            raise
        return self

    def _start(self) -> None:
        self.dir.chmod(0o755)
        self._lock = (self.dir / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.keygen(self.key)
        for number, (a, b) in enumerate(self.cables):
            ends = network.cable_address(number, 0), network.cable_address(number, 1)
            self[a].tb[b], self[b].tb[a] = ends, (ends[1], ends[0])
        names = [f"{host.ip} {host.name} {host.name}.local\n" for host in self.hosts.values()]
        etc_hosts = "".join(["127.0.0.1 localhost\n::1 localhost\n", *names])
        self.switch.prepare(etc_hosts, network.switch_batch(self.hosts, self.cables))
        for number, host in enumerate(self.hosts.values()):
            host.prepare(etc_hosts, network.host_batch(host.name, number, self.cables))
        for host in self._all():
            host.begin()
        for host in self._all():
            host.expect("ready")
            host.cgroup = Cgroup.make(self.name, host.name)
        pids = {host.name: host.pid for host in self.hosts.values()}
        subprocess.run(
            ["nsenter", f"--net=/proc/{self.switch.pid}/ns/net", "ip", "-batch", "-"],
            input=network.wires(pids, self.switch.pid, self.cables).encode(),
            check=True,
            timeout=20,
        )
        # The switch's ports first: after a burst of carrier changes a port can drop frames for a second.
        for group in ([self.switch], list(self.hosts.values())):
            for host in group:
                host.tell("go")
            for host in group:
                host.expect("up")
        self._wait_for_carrier()

    def _wait_for_carrier(self, timeout: float = 3.0) -> None:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            links: list[dict[str, Any]] = json.loads(self.switch.run(["ip", "-j", "link"]))
            if all(link["operstate"] == "UP" for link in links if "master" in link):
                return
            time.sleep(0.02)

    @staticmethod
    def keygen(path: Path) -> None:
        """Make an ed25519 key pair."""
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.parent.name, "-f", str(path)]
        subprocess.run(command, check=True, timeout=20)

    def down(self) -> None:
        """End every process of every host, and wait until they are gone."""
        atexit.unregister(self.down)
        for host in self._all():
            host.end()
        for host in self._all():
            host.reap()
        remove_all(self.name)
        shutil.rmtree(self.dir, ignore_errors=True)
        if lock := vars(self).get("_lock"):
            lock.close()

    def _all(self) -> list[Host]:
        return [*self.hosts.values(), self.switch]

    @contextlib.contextmanager
    def enter(self, host: str) -> Generator[Host]:
        """New sockets of this thread, and of threads it starts meanwhile, are the host's."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            setns(self[host].pidfd, NEWNET)
            yield self[host]
        finally:
            setns(back, NEWNET)
            os.close(back)

    # -- faults: of a host's cable, or of its Thunderbolt cable to `peer` -----

    def _ip(self, *lines: str) -> None:
        self.switch.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")

    def unplug(self, host: str, peer: str | None = None) -> None:
        """Cable out: both ends lose carrier."""
        self._ip(f"link set {network.port(self.cables, host, peer)} down")

    def plug(self, host: str, peer: str | None = None) -> None:
        """Cable in. As with real ones, a first answer can take up to a second."""
        self._ip(f"link set {network.port(self.cables, host, peer)} up")

    def blackhole(self, host: str, peer: str | None = None, *, on: bool = True) -> None:
        """Carrier stays, frames vanish: a Mac asleep, a hung switch."""
        port = network.port(self.cables, host, peer)
        cable = port.rstrip("ab") if peer else port
        if cable in self._shimmed:
            self._say({"op": "set", "id": cable, "blackhole": on})
        else:
            self.switch.run(["bridge", "link", "set", "dev", port, "state", "0" if on else "3"])

    def power_off(self, host: str) -> None:
        """No FIN, no goodbye: cables out, then every process is gone. There is no way back."""
        for peer in (None, *self[host].tb):
            self.unplug(host, peer)
        signal.pidfd_send_signal(self[host].pidfd, signal.SIGKILL)

    def freeze(self, host: str, *, on: bool = True) -> None:
        """Every process stands still; the kernel still answers pings and acknowledges TCP."""
        cgroup = self[host].cgroup
        if cgroup is None:
            raise LabError("freezing needs a writable cgroup v2")
        cgroup.freeze(on)

    def link(
        self,
        host: str,
        peer: str | None = None,
        *,
        delay_ms: float = 0.0,
        loss: float = 0.0,
        rate_mbit: float = 0.0,
        queue_ms: float = 50.0,
    ) -> None:
        """Impair a cable, alike in both directions. The delay is one-way; two cables are two delays."""
        port = network.port(self.cables, host, peer)
        cable = port.rstrip("ab") if peer else port
        if cable not in self._shimmed:
            ends = (f"{cable}a", f"{cable}b")
            if peer is None:  # a second port goes on the bridge, and the shim between the two
                ends = (port, f"q-{host}")
                self._ip(
                    f"link set {port} nomaster",
                    f"link add q-{host} type veth peer name r-{host}",
                    f"link set q-{host} up",
                    f"link set r-{host} master br0 up",
                )
            else:
                self._ip(*(f"link set {end} nomaster" for end in ends))
            self._say({"op": "add", "id": cable, "ends": ends})
            self._shimmed.add(cable)
        settings = {"delay_ms": delay_ms, "loss": loss, "rate_mbit": rate_mbit, "queue_ms": queue_ms}
        self._say({"op": "set", "id": cable, **settings})

    def _say(self, message: dict[str, Any]) -> None:
        """Tell the shim, which starts with the first message, and wait until it has done it."""
        if self._shim is None:
            shim = Path(__file__).with_name("shim.py")
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
            self._shim = self.switch.popen([sys.executable, "-S", shim], **pipes)
        assert self._shim.stdin and self._shim.stdout
        self._shim.stdin.write(json.dumps(message).encode() + b"\n")
        told = select.select([self._shim.stdout], [], [], 10)[0]
        answer = self._shim.stdout.readline().decode().strip() if told else "no answer"
        if answer != "ok":
            raise LabError(f"shim: {answer or 'it ended'}")

"""What runs on every device while the console is connected: it collects, the console parses.

One file of standard library for any Python from 3.8 on, sent over ssh (see `frame`) and never
written to the device's disk. Lines of JSON go up on stdout: the raw text of commands and files,
never a conclusion. Commands that may be slow or hang run beside each other, each at a pace and
within a limit of its own, and are told again only when what they print has changed. On stdin an
empty line is a beat and a JSON line an order; the agent ends when stdin does (exit 0) or when no
line came for the lease (exit 3), so that it cannot outlive its console.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import platform
import queue
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # the module itself would cost every device its import
    from collections.abc import Callable, Iterator
    from typing import Any

    Waiting = queue.Queue[tuple[Callable[[dict[str, Any]], None], dict[str, Any]]]

LEASE = 15.0
PERIOD = 1.0
LINE = 65536
MESSAGE = 64
TOKEN = 32
CONNECT_TIMEOUT = 2.0
CHILD_TIMEOUT = 2.0
IDLE_TIMEOUT = 5.0
CONNECTIONS = 32
WAITING_PROBES = 16
LOAD_SECONDS = 5.0
LOAD_BYTES = 1 << 32
STREAM_RETRY = 60.0

PLACES = ("/usr/bin", "/bin", "/usr/sbin", "/sbin", "/opt/homebrew/bin", "/usr/local/bin")
"""Where programs are looked for besides PATH, which is short in a shell nobody logged in to."""

MAC_FACTS = "hw.memsize machdep.cpu.brand_string hw.model hw.ncpu kern.osproductversion"
MAC_SAMPLE = "vm.swapusage vm.loadavg iogpu.wired_limit_mb hw.memsize kern.memorystatus_vm_pressure_level"

_out = threading.Lock()


def say(message: dict[str, Any]) -> None:
    """Write one line, whole. A console that is gone cannot be told anything: then we end too."""
    data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    with _out:
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError:
            os._exit(4)


def text(path: str, limit: int = 16384) -> str | None:
    """The start of a file, or None where it cannot be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read(limit)
    except OSError:
        return None


def output(*command: str) -> str | None:
    """What a command printed, or None where it is missing, fails without output or takes too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=CHILD_TIMEOUT,
            start_new_session=True,
            # sysctl writes `2,07` where the user's locale does.
            env=dict(os.environ, LC_ALL="C"),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout[:LINE].decode("utf-8", "replace") or None


def sysctl(keys: str) -> str | None:
    # -i: a key this Mac does not know is left out instead of failing the rest.
    return output("/usr/sbin/sysctl", "-i", *keys.split())


def picked(path: str, names: tuple[str, ...]) -> str | None:
    """The lines of a file whose name before the colon is one of `names`, the first of each."""
    found: dict[str, str] = {}
    for line in (text(path) or "").splitlines():
        name = line.split(":", 1)[0].strip()
        if name in names and name not in found:
            found[name] = line
    return "\n".join(found.values()) or None


def present(**sources: str | None) -> dict[str, str]:
    return {name: value for name, value in sources.items() if value is not None}


# A rehearsal device is a process tree with a budget: BUDGET_BYTES:ROOT_PID:DIR.


def rehearsal() -> tuple[int, int, str] | None:
    """(budget, root pid, directory), or None on a real device."""
    given = os.environ.get("EXO_TUI_REHEARSAL")
    if not given:
        return None
    budget, root, directory = given.split(":", 2)
    return int(budget), int(root), directory


REHEARSAL = rehearsal()


def processes() -> Iterator[tuple[int, int, int | None]]:
    """(pid, parent, anonymous resident bytes or None for 'ask') of every process."""
    if platform.system() == "Linux":
        for name in os.listdir("/proc"):
            if name.isdigit():
                stat = text("/proc/" + name + "/stat") or ""
                # The command may hold blanks and brackets; the parent is the second field behind it.
                fields = stat.rpartition(")")[2].split()
                if len(fields) > 1:
                    yield int(name), int(fields[1]), None
    else:
        for line in (output("/bin/ps", "-axo", "pid,ppid,rss") or "").splitlines()[1:]:
            fields = line.split()
            if len(fields) == 3:
                yield int(fields[0]), int(fields[1]), int(fields[2]) * 1024


def anonymous(pid: int) -> int:
    """Anonymous resident bytes of a Linux process; 0 for one that has just ended."""
    for line in (text("/proc/%d/status" % pid) or "").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def tree(root: int) -> int:
    """Resident bytes summed over `root` and its descendants: anonymous on Linux, all on macOS."""
    children: dict[int, list[int]] = {}
    known: dict[int, int | None] = {}
    for pid, parent, resident in processes():
        children.setdefault(parent, []).append(pid)
        known[pid] = resident
    total = 0
    todo = [root]
    while todo:
        pid = todo.pop()
        todo.extend(children.get(pid, ()))
        resident = known.get(pid, 0)
        total += anonymous(pid) if resident is None else resident
    return total


def pretended() -> dict[str, str]:
    return {} if REHEARSAL is None else {"budget": str(REHEARSAL[0]), "tree": str(tree(REHEARSAL[1]))}


# What changes seldom or costs more: each source on a thread of its own, as one that hangs must stop no other.


def find(program: str) -> str | None:
    """The path of a program, or None where there is none."""
    for folder in os.environ.get("PATH", "").split(":") + list(PLACES):
        path = os.path.join(folder, program)
        if folder.startswith("/") and os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


class Telling:
    """Says what a source printed: when that differs from what it printed before, or `always`."""

    def __init__(self, name: str, always: bool = False) -> None:
        self.name = name
        self.always = always
        self.told: object = None

    def tell(self, text: str | None, code: int | None = None, problem: str = "") -> bool:
        """Whether there was something new."""
        now = (text, code, problem)
        if now == self.told and not self.always:
            return False
        self.told = now
        message = {
            "ev": "read",
            "system": platform.system(),
            "name": self.name,
            "t": time.monotonic(),
            "text": text,
            "code": code,
            "problem": problem[:200],
        }
        if len(json.dumps(message, separators=(",", ":"))) >= LINE:
            message.update(text=None, problem="it printed more than is read")
        say(message)
        return True


class Source(Telling):
    """A command, run again after each `period`, or sooner when another source has woken it.

    `wakes`: what it prints changing wakes the others. `packed`: blanks at the start of lines mean nothing.
    """

    def __init__(
        self,
        name: str,
        period: float,
        limit: float,
        *command: str,
        wakes: bool = False,
        packed: bool = False,
        always: bool = False,
    ) -> None:
        super().__init__(name, always)
        self.period, self.limit, self.command = period, limit, command
        self.wakes, self.packed = wakes, packed
        self.woken = threading.Event()
        self.stuck: subprocess.Popen[bytes] | None = None

    def look(self) -> bool:
        """Run it once; whether it printed something new."""
        if self.stuck is not None and self.stuck.poll() is None:
            return False  # killed, but not gone: another one would hang as well
        self.stuck = None
        path = find(self.command[0])
        if path is None:
            return self.tell(None, None, "there is no " + self.command[0])
        try:
            child = subprocess.Popen(
                (path,) + self.command[1:],  # noqa: RUF005
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env=dict(os.environ, LC_ALL="C"),
            )
        except OSError as error:
            return self.tell(None, None, error.strerror or str(error))
        try:
            printed, complaint = child.communicate(timeout=self.limit)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)
            self.stuck = child
            return self.tell(None, None, "it did not answer within %g s" % self.limit)
        text = printed.decode("utf-8", "replace")
        if self.packed:
            text = "\n".join(line.strip() for line in text.splitlines())
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        return self.tell(text, child.returncode, lines[-1] if lines and child.returncode else "")


class Files(Source):
    """A source that reads files instead, which costs no process."""

    def __init__(
        self, name: str, period: float, read: Callable[[], str], wakes: bool = False, always: bool = False
    ) -> None:
        super().__init__(name, period, 0, wakes=wakes, always=always)
        self.read = read

    def look(self) -> bool:
        return self.tell(self.read(), 0)


class Stream(Telling):
    """A program that prints line after line: the newest counts, of rows `0, …` that of each number."""

    def __init__(self, name: str, *command: str) -> None:
        super().__init__(name, always=True)
        self.command = command

    def follow(self) -> None:
        while True:
            path = find(self.command[0])
            if path is None:
                self.tell(None, None, "there is no " + self.command[0])
            else:
                self.tell(None, None, self.listen(path))
            time.sleep(STREAM_RETRY)

    def listen(self, path: str) -> str:
        """Pass on its lines until it ends; returns why."""
        try:
            child = subprocess.Popen(
                (path,) + self.command[1:],  # noqa: RUF005
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=dict(os.environ, LC_ALL="C"),
            )
        except OSError as error:
            return error.strerror or str(error)
        last = ""
        rows: dict[str, str] = {}
        with child:
            lines = child.stdout
            assert lines
            for line in iter(lambda: lines.readline(LINE), b""):
                last = line[:16384].decode("utf-8", "replace").strip()
                number, comma, _ = last.partition(",")
                if not (comma and number.isdigit()):
                    rows.clear()
                if last:
                    rows[number] = last
                    self.tell("\n".join(rows.values()), 0)
        return "%s ended (%s) %s" % (self.command[0], child.returncode, last[:120])


def mac_sources() -> list[Source]:
    return [
        Source("ifconfig", 2, 2, "ifconfig", "-a", wakes=True),
        # 0.3 to 0.8 s a call
        Source("thunderbolt", 30, 15, "system_profiler", "SPThunderboltDataType", "-json", packed=True),
        Source("hardware_ports", 60, 10, "networksetup", "-listallhardwareports"),
        Source("rdma_ctl", 60, 5, "rdma_ctl", "status"),
        # blocks on a wedged link
        Source("ibv_devinfo", 30, 15, "ibv_devinfo", "-v"),
        Source("routes", 30, 5, "netstat", "-rn", "-f", "inet"),
        Source("power_settings", 300, 5, "pmset", "-g"),
        Source(
            "auto_login",
            300,
            5,
            "defaults",
            "read",
            "/Library/Preferences/com.apple.loginwindow",
            "autoLoginUser",
        ),
        Source("ioreg", 2, 2, "ioreg", "-r", "-d", "1", "-w", "0", "-c", "IOAccelerator", always=True),
        Source("counters", 2, 2, "netstat", "-ibn", always=True),
    ]


def linux_sources() -> list[Source]:
    return [
        Files("sysfs_net", 2, sysfs_net, wakes=True),
        Files("sysfs_thunderbolt", 2, sysfs_thunderbolt),
        Source("ip_addr", 10, 5, "ip", "-j", "addr"),
        Source("routes", 30, 5, "ip", "-j", "route"),
        Source("ibv_devinfo", 30, 15, "ibv_devinfo", "-v"),
        Files("counters", 2, lambda: text("/proc/net/dev") or "", always=True),
    ]


def sysfs_net() -> str:
    """Lines `eth0/type: 1` of every interface: what medium it is, and whether it has a link."""
    base = "/sys/class/net"
    lines: list[str] = []
    for name in sorted(names(base))[:64]:
        folder = os.path.join(base, name)
        for key in ("type", "operstate"):
            lines.append("%s/%s: %s" % (name, key, (text(os.path.join(folder, key), 64) or "").strip()))
        if os.path.isdir(os.path.join(folder, "wireless")) or os.path.isdir(os.path.join(folder, "phy80211")):
            lines.append("%s/wireless: 1" % name)
        for key in ("device", "device/driver"):
            if os.path.islink(os.path.join(folder, key)):
                target = os.path.basename(os.path.realpath(os.path.join(folder, key)))
                lines.append("%s/%s: %s" % (name, key.rpartition("/")[2], target))
    return "\n".join(lines)


def sysfs_thunderbolt() -> str:
    """Lines `0-1/unique_id: value` of every Thunderbolt device, neighbour and service."""
    base = "/sys/bus/thunderbolt/devices"
    lines: list[str] = []
    keys = ("unique_id", "device_name", "rx_speed", "rx_lanes", "authorized", "key", "prtcid")
    for name in sorted(names(base))[:128]:
        for key in keys:
            value = text(os.path.join(base, name, key), 128)
            if value is not None:
                lines.append("%s/%s: %s" % (name, key, value.strip()))
    return "\n".join(lines)


def names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def look_around() -> None:
    """Start every source that means something here."""
    mac = platform.system() == "Darwin"
    sources = mac_sources() if mac else linux_sources()
    if REHEARSAL is not None:
        # Its devices share a computer: they have a network path to each other, and nothing else of their own.
        wanted = ("ifconfig", "hardware_ports", "sysfs_net", "ip_addr")
        sources = [source for source in sources if source.name in wanted]

    def keep(source: Source) -> None:
        while True:
            if source.look() and source.wakes:
                for other in sources:
                    if other is not source:
                        other.woken.set()
            source.woken.wait(source.period)
            source.woken.clear()

    for source in sources:
        threading.Thread(target=keep, args=(source,), daemon=True).start()
    if REHEARSAL is None:
        query = "index,memory.used,utilization.gpu,temperature.gpu,power.draw"
        stream = (
            Stream("macmon", "macmon", "pipe", "-i", "1000")
            if mac
            else Stream(
                "nvidia_smi", "nvidia-smi", "--query-gpu=" + query, "--format=csv,noheader,nounits", "-l", "2"
            )
        )
        threading.Thread(target=stream.follow, daemon=True).start()


# Facts and samples.


def cgroup() -> str | None:
    """`limit usage inactive_file` of the process's memory cgroup and each above it, leaf first."""
    lines: list[str] = []
    for entry in (text("/proc/self/cgroup") or "").splitlines():
        number, _, rest = entry.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            base, limit, usage, inactive = "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base, limit, usage = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            inactive = "total_inactive_file"
        else:
            continue
        parts = [part for part in path.split("/") if part and part != ".."]
        for depth in range(len(parts), -1, -1):
            folder = "/".join([base] + parts[:depth])  # noqa: RUF005
            most, used = text(folder + "/" + limit, 64), text(folder + "/" + usage, 64)
            if most is None or used is None:
                continue
            idle = "0"
            for line in (text(folder + "/memory.stat") or "").splitlines():
                if line.startswith(inactive + " "):
                    idle = line.split()[1]
            lines.append(" ".join((most.strip(), used.strip(), idle)))
    return "\n".join(lines[:64]) or None


def facts() -> dict[str, Any]:
    if platform.system() == "Darwin":
        sources = present(sysctl=sysctl(MAC_FACTS))
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        sources = present(
            cpuinfo=picked("/proc/cpuinfo", ("model name", "Model", "CPU implementer", "CPU part")),
            product=text("/sys/devices/virtual/dmi/id/product_name", 256),
            nproc=str(cores),
        )
    sources.update(pretended())
    return {
        "ev": "facts",
        "system": platform.system(),
        "node": platform.node(),
        "release": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "sources": sources,
    }


def sample(number: int) -> dict[str, Any]:
    if platform.system() == "Darwin":
        sources = present(vm_stat=output("/usr/bin/vm_stat"), sysctl=sysctl(MAC_SAMPLE))
    else:
        wanted = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
        sources = present(
            meminfo=picked("/proc/meminfo", wanted), loadavg=text("/proc/loadavg", 256), cgroup=cgroup()
        )
    sources.update(pretended())
    return {"ev": "sample", "system": platform.system(), "seq": number, "sources": sources}


def sampling() -> None:
    """Facts once, then a sample a second. A late one is skipped: old figures must not queue up."""
    say(facts())
    look_around()
    number = 0
    due = time.monotonic()
    while True:
        say(sample(number))
        number += 1
        due = max(due + PERIOD, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


# Links: one end echoes, the other counts round trips.


def resolve(address: str, port: int) -> tuple[int, Any]:
    """(family, sockaddr) of a numeric address, `%scope` included. Never asks a name server."""
    if not 0 <= port < 65536:
        raise OSError("no such port: %d" % port)
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except UnicodeError:
        raise OSError("not an address") from None
    return found[0][0], found[0][4]


def receive(peer: socket.socket, count: int, deadline: float | None = None) -> bytes | None:
    """Exactly `count` bytes, or None when the peer is gone."""
    data = b""
    while len(data) < count:
        if deadline is not None:
            peer.settimeout(max(0.001, deadline - time.monotonic()))
        part = peer.recv(count - len(data))
        if not part:
            return None
        data += part
    return data


def echo_delay() -> float:
    """Seconds by which a rehearsal slows each message sent, really: from `echo-delay` in ms in its folder."""
    written = text(os.path.join(REHEARSAL[2], "echo-delay"), 32) if REHEARSAL else None
    try:
        return min(10.0, max(0.0, float(written) / 1000)) if written else 0.0
    except ValueError:
        return 0.0


class Echo:
    """Listeners that send back every message of a peer that knows the token."""

    def __init__(self) -> None:
        self.room = threading.BoundedSemaphore(CONNECTIONS)
        self.stop: socket.socket | None = None

    def listen(self, order: dict[str, Any]) -> None:
        """Open listeners in place of the former ones and say their ports."""
        token = str(order["token"]).encode()
        listeners: list[socket.socket] = []
        ports: dict[str, int] = {}
        failed: dict[str, str] = {}
        for address in order["addresses"][:16]:
            try:
                family, place = resolve(address, 0)
                listener = socket.socket(family, socket.SOCK_STREAM)
                try:
                    listener.bind(place)
                    listener.listen(8)
                except OSError:
                    listener.close()
                    raise
            except OSError as error:
                failed[address] = error.strerror or str(error)
                continue
            listeners.append(listener)
            ports[address] = listener.getsockname()[1]
        if self.stop is not None:
            self.stop.close()
        self.stop, stopped = socket.socketpair()
        threading.Thread(target=self.accept, args=(listeners, stopped, token), daemon=True).start()
        say({"ev": "listening", "ports": ports, "failed": failed})

    def accept(self, listeners: list[socket.socket], stopped: socket.socket, token: bytes) -> None:
        """Take connections until the other end of `stopped` is closed."""
        # Closing a socket under a thread that waits in accept() does not wake it everywhere; this does.
        with stopped:
            while True:
                ready = select.select([stopped] + listeners, [], [])[0]  # noqa: RUF005
                if stopped in ready:
                    break
                for listener in ready:
                    try:
                        peer, _ = listener.accept()
                    except OSError:
                        continue  # it gave up between select and accept
                    if self.room.acquire(blocking=False):
                        threading.Thread(target=self.serve, args=(peer, token), daemon=True).start()
                    else:
                        peer.close()
        for listener in listeners:
            listener.close()

    def serve(self, peer: socket.socket, token: bytes) -> None:
        try:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            shown = receive(peer, TOKEN, time.monotonic() + CONNECT_TIMEOUT)
            if shown is None or len(token) != TOKEN or not hmac.compare_digest(shown, token):
                return
            delay = echo_delay()
            peer.settimeout(IDLE_TIMEOUT)
            while True:
                message = receive(peer, MESSAGE)
                if message is None:
                    return
                if delay:
                    time.sleep(delay)
                peer.sendall(message)
        except OSError:
            return  # the peer went away or fell silent: the prober's side reports it
        finally:
            peer.close()
            self.room.release()


class Burst:
    """One burst of numbered messages. A trip not answered in time is lost; its late answer is dropped."""

    def __init__(self, peer: socket.socket, timeout: float) -> None:
        self.peer = peer
        self.timeout = timeout
        self.delay = echo_delay()
        self.buffer = b""

    def trip(self, number: int) -> float | None:
        """The round trip in microseconds, or None if it was lost."""
        start = time.perf_counter()
        deadline = start + self.timeout
        self.peer.settimeout(self.timeout)
        if self.delay:
            time.sleep(self.delay)
        try:
            self.peer.sendall(struct.pack(">Q", number) + b"\0" * (MESSAGE - 8))
            while True:
                while len(self.buffer) < MESSAGE:
                    left = deadline - time.perf_counter()
                    if left <= 0:
                        return None
                    self.peer.settimeout(left)
                    part = self.peer.recv(4096)
                    if not part:
                        raise ConnectionError("the other end closed the connection")
                    self.buffer += part
                end = time.perf_counter()
                answered = struct.unpack(">Q", self.buffer[:8])[0]
                self.buffer = self.buffer[MESSAGE:]
                if answered == number:
                    return (end - start) * 1e6
        except socket.timeout:
            return None


def probe(order: dict[str, Any]) -> None:
    """Measure one burst. The connection, the token and the warm-up are not part of any figure."""
    trips = max(1, min(1000, int(order.get("trips", 30))))
    warmup = max(0, min(100, int(order.get("warmup", 5))))
    timeout = max(0.001, min(5.0, float(order.get("timeout", 0.25))))
    rtts: list[float] = []
    sent = 0
    local = ""
    problem: str | None = None
    try:
        family, place = resolve(order["address"], int(order["port"]))
        with socket.socket(family, socket.SOCK_STREAM) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if order.get("source"):
                peer.bind(resolve(order["source"], 0)[1])
            peer.settimeout(CONNECT_TIMEOUT)
            peer.connect(place)
            local = peer.getsockname()[0]  # which the system chose by its routes: the path there is now
            peer.sendall(str(order["token"]).encode())
            burst = Burst(peer, timeout)
            for number in range(warmup + trips):
                if number >= warmup:
                    sent += 1
                took = burst.trip(number)
                if number >= warmup and took is not None:
                    rtts.append(round(took, 1))
    except OSError as error:
        problem = error.strerror or str(error) or type(error).__name__
    lost = sent - len(rtts)
    say(
        {
            "ev": "probed",
            "id": order["id"],
            "local": local,
            "rtts_us": rtts,
            "sent": sent,
            "lost": lost,
            "error": problem,
        }
    )


# Bandwidth: one end sends for a moment, the other counts. Nothing listens before or after.


def sink(order: dict[str, Any]) -> None:
    """Listen for one peer with the token, and count what it sends. Its first moments are left out."""
    seconds = max(0.05, min(LOAD_SECONDS, float(order["seconds"])))
    most = max(1, min(LOAD_BYTES, int(order["bytes"])))
    token = str(order["token"]).encode()
    skip = max(0.0, min(seconds / 2, float(order.get("skip", 0.0))))
    total = 0
    rate: float | None = None
    problem: str | None = None
    try:
        family, place = resolve(order["address"], 0)
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.bind(place)
            listener.listen(1)
            say({"ev": "sinking", "id": order["id"], "port": listener.getsockname()[1]})
            peer = admit(listener, token, time.monotonic() + LOAD_SECONDS)
        with peer:
            total, rate = drain(peer, most, skip, time.monotonic() + 2 * seconds + CONNECT_TIMEOUT)
    except OSError as error:
        problem = error.strerror or str(error) or type(error).__name__
    say({"ev": "sunk", "id": order["id"], "bytes": total, "rate": rate, "error": problem})


def admit(listener: socket.socket, token: bytes, until: float) -> socket.socket:
    """The first peer that knows the token."""
    while True:
        listener.settimeout(max(0.001, until - time.monotonic()))
        try:
            peer, _ = listener.accept()
        except socket.timeout:
            raise OSError("nobody came") from None
        try:
            shown = receive(peer, TOKEN, min(until, time.monotonic() + CONNECT_TIMEOUT))
        except OSError:
            shown = None
        if shown is not None and len(token) == TOKEN and hmac.compare_digest(shown, token):
            return peer
        peer.close()


def drain(peer: socket.socket, most: int, skip: float, until: float) -> tuple[int, float | None]:
    """Bytes until the peer has sent all, and how many a second after the first `skip` seconds."""
    room = bytearray(1 << 20)
    total = counted = 0
    began = since = last = 0.0
    while total < most:
        peer.settimeout(max(0.001, until - time.monotonic()))
        try:
            count = peer.recv_into(room)
        except socket.timeout:
            break  # what a slow path still holds is of no interest
        if not count:
            break
        last = time.perf_counter()
        if not total:
            began = since = last
        elif since == began and last - began >= skip:
            since, counted = last, 0
        else:
            counted += count  # what came with the clock's start came before it
        total += count
    return total, counted / (last - since) if last > since and counted else None


def load(order: dict[str, Any]) -> None:
    """Send zeros to a sink, for so many seconds or bytes, whichever is over first."""
    seconds = max(0.05, min(LOAD_SECONDS, float(order["seconds"])))
    most = max(1, min(LOAD_BYTES, int(order["bytes"])))
    sent = 0
    problem: str | None = None
    try:
        family, place = resolve(order["address"], int(order["port"]))
        with socket.socket(family, socket.SOCK_STREAM) as peer:
            if order.get("source"):
                peer.bind(resolve(order["source"], 0)[1])
            peer.settimeout(CONNECT_TIMEOUT)
            peer.connect(place)
            peer.sendall(str(order["token"]).encode())
            zeros = memoryview(bytes(1 << 20))
            until = time.monotonic() + seconds
            while sent < most and time.monotonic() < until:
                peer.settimeout(max(0.001, until + CONNECT_TIMEOUT - time.monotonic()))
                sent += peer.send(zeros[: most - sent])
            peer.shutdown(socket.SHUT_WR)
            peer.settimeout(CONNECT_TIMEOUT + seconds)
            with contextlib.suppress(socket.timeout):
                peer.recv(1)  # closed by the other end once it has it all
    except OSError as error:
        problem = error.strerror or str(error) or type(error).__name__
    say({"ev": "loaded", "id": order["id"], "bytes": sent, "error": problem})


class Orders:
    """Carries out what the console asks, away from the thread that keeps the lease."""

    def __init__(self) -> None:
        self.lease = LEASE
        self.echo = Echo()
        self.todo: Waiting = queue.Queue()
        self.probes: Waiting = queue.Queue(WAITING_PROBES)
        self.sinks: Waiting = queue.Queue(1)

    def start(self) -> None:
        for waiting in (self.todo, self.probes, self.sinks):
            threading.Thread(target=self.work, args=(waiting,), daemon=True).start()

    def take(self, line: bytes) -> None:
        """Accept one order. The lease counts at once; the rest is done by the workers."""
        try:
            order = json.loads(line)
            op = order["op"]
            if op == "lease":
                self.lease = max(0.1, min(3600.0, float(order["seconds"])))
            elif op == "listen":
                self.todo.put((self.echo.listen, order))
            elif op == "probe":
                # One burst at a time: two at once would measure each other.
                self.probes.put_nowait((probe, order))
            elif op == "load":
                self.probes.put_nowait((load, order))
            elif op == "sink":
                self.sinks.put_nowait((sink, order))
            else:
                self.refuse("unknown order")
        except queue.Full:
            self.refuse("too many measurements are waiting")
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            self.refuse("%s: %s" % (type(error).__name__, error))

    def refuse(self, reason: str) -> None:
        # From its own worker: the lease must be kept even while stdout is blocked.
        self.todo.put((say, {"ev": "refused", "reason": reason[:200]}))

    def work(self, waiting: Waiting) -> None:
        while True:
            do, order = waiting.get()
            try:
                do(order)
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
                self.refuse("%s: %s" % (type(error).__name__, error))


def crashed(args: threading.ExceptHookArgs) -> None:
    """A thread that died would leave an agent that looks alive: end, with the reason on stderr."""
    if args.exc_value is not None:
        sys.excepthook(args.exc_type, args.exc_value, args.exc_traceback)
    os._exit(5)


def main() -> None:
    threading.excepthook = crashed
    orders = Orders()
    orders.start()
    threading.Thread(target=sampling, daemon=True).start()
    heard = time.monotonic()
    pending = b""
    while True:
        # Asked even when the lease has run out: beats may have piled up while this process was stopped.
        left = max(0.0, heard + orders.lease - time.monotonic())
        if not select.select([0], [], [], left)[0]:
            if left == 0:
                os._exit(3)
            continue
        data = os.read(0, LINE)
        if not data:
            os._exit(0)
        lines = (pending + data).split(b"\n")
        pending = lines.pop()
        if len(pending) > LINE:
            os._exit(2)
        if lines:
            heard = time.monotonic()
        for line in lines:
            if line.strip():
                orders.take(line)


# `_exit` above: a thread blocked on a dead pipe or socket must not keep the process alive.
if __name__ == "__main__":
    main()

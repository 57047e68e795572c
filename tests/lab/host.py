"""One host of the lab: running things in it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .namespaces import INIT, NEWIPC, NEWNET, NEWNS, NEWPID, NEWUTS, UNSHARE, exposing, setns, sshd_path

if TYPE_CHECKING:
    from .cgroup import Cgroup
    from .vlab import Lab

# Every host's ordinary account. sshd refuses signal requests from root logins, so tests log in as this one.
USER, UID = "mac", 4242

SSHD_CONFIG = """\
Port {port}
HostKey {host_key}
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
PrintMotd no
StrictModes no
MaxSessions 200
MaxStartups 200
AcceptEnv LANG LC_*
SetEnv TMPDIR={tmp}
Subsystem sftp internal-sftp
LogLevel ERROR
"""


# /sys tells of the network that mounted it; without its cgroups agents could not tell their memory.
OWN_SYSFS = """\
mkdir /run/keep/cgroup
mount --rbind /sys/fs/cgroup /run/keep/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/keep/cgroup /sys/fs/cgroup
"""


class LabError(RuntimeError):
    """Something in the lab did not go as it must."""


def process_state(pid: int) -> str:
    """The kernel's letter for the process ("R", "S", "T", "Z", ...), or "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether the process is there, and not merely unreaped."""
    return process_state(pid) not in ("", "Z", "X")


class Host:
    """A PID, network, UTS, IPC and mount namespace of its own, with its own account, home, /run and hostname.

    /tmp is the machine's, shared by all hosts; TMPDIR is not.
    """

    def __init__(self, lab: Lab, name: str, ip: str) -> None:
        self.lab, self.name, self.ip = lab, name, ip
        self.dir = lab.dir / name
        self.home = self.dir / "home"
        self.tb: dict[str, tuple[str, str]] = {}
        """By peer: this host's address on their Thunderbolt cable, and the peer's."""
        self.cgroup: Cgroup | None = None
        self._holder: subprocess.Popen[bytes] | None = None
        self._procs: list[subprocess.Popen[Any]] = []
        self.pid = self.pidfd = -1
        """The host's PID 1 as seen from outside."""

    # -- life -----------------------------------------------------------------

    def prepare(self, etc_hosts: str, net_batch: str) -> None:
        """Write what the host's init reads. The switch has no address, and no accounts either."""
        self.dir.mkdir(mode=0o755)
        (self.dir / "net.batch").write_text(net_batch)
        (self.dir / "mounts.sh").write_text(self._mounts(etc_hosts) if self.ip else "")

    def _mounts(self, etc_hosts: str) -> str:
        for folder in (self.home, self.home / "tmp", self.home / ".ssh"):
            folder.mkdir(mode=0o700)
            os.chown(folder, UID, UID)
        accounts = [
            f"root:x:0:0:root:{self.home}:/bin/sh" if line.startswith("root:") else line
            for line in Path("/etc/passwd").read_text().splitlines()
        ]
        etc = {
            "passwd": "\n".join([*accounts, f"{USER}:x:{UID}:{UID}:lab user:{self.home}:/bin/sh", ""]),
            "group": Path("/etc/group").read_text().rstrip("\n") + f"\n{USER}:x:{UID}:\n",
            "hosts": etc_hosts,
            "hostname": f"{self.name}\n",
        }
        mounts = "mount -t tmpfs -o mode=755 tmpfs /run; mkdir -p /run/sshd /run/dbus /run/lock /run/keep\n"
        mounts += OWN_SYSFS
        for name, text in etc.items():
            (self.dir / f"etc_{name}").write_text(text)
            mounts += f'mount --bind "$2/etc_{name}" /etc/{name}\n'
        return mounts + exposing(self.lab.dir)

    def begin(self) -> None:
        """Start the host's init; `expect("ready")` then tells that it has its namespaces."""
        with (self.dir / "init.log").open("ab") as log:
            self._holder = subprocess.Popen(
                [*UNSHARE, "sh", "-c", INIT, "lab-init", self.name, str(self.dir)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
            )

    def expect(self, word: str, timeout: float = 10.0) -> None:
        """Wait until init says `word`."""
        assert self._holder is not None
        out = self._pipe(self._holder.stdout)
        said = out.readline().decode().strip() if select.select([out], [], [], timeout)[0] else "nothing"
        if said != word:
            raise LabError(f"{self.name}: init said {said!r}: {(self.dir / 'init.log').read_text()}")
        if self.pid < 0:
            holder = self._holder.pid
            self.pid = int(Path(f"/proc/{holder}/task/{holder}/children").read_text().split()[0])
            self.pidfd = os.pidfd_open(self.pid)

    def tell(self, word: str) -> None:
        """Say `word` to init."""
        assert self._holder is not None
        self._pipe(self._holder.stdin).write(f"{word}\n".encode())

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe

    def end(self) -> None:
        """Let go of init: the kernel kills every process of the host. `reap` waits for that."""
        if self.cgroup:
            with contextlib.suppress(OSError):
                self.cgroup.freeze(False)
        if self._holder is not None:
            self._pipe(self._holder.stdin).close()

    def reap(self) -> None:
        """Wait for the host's end; our own children in it first, because PID 1 cannot go before them."""
        for process in [*self._procs, *([self._holder] if self._holder else [])]:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()  # for the holder, --kill-child takes PID 1 along
                process.wait(5)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        self._procs.clear()
        self._holder = None
        if self.pidfd >= 0:
            os.close(self.pidfd)
        self.pid = self.pidfd = -1

    # -- running things -------------------------------------------------------

    def popen(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        user: str = "root",
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] = "/",
        **options: Any,
    ) -> subprocess.Popen[Any]:
        """`subprocess.Popen` in the host; the pid is the process's own, to signal and wait for.

        In a frozen host this would not return until it is thawed.
        """
        pidfd, cgroup = self.pidfd, self.cgroup

        def enter() -> None:
            if cgroup:
                cgroup.join()
            setns(pidfd, NEWNS | NEWUTS | NEWIPC | NEWNET)
            if user == USER:
                os.setgroups([])
                os.setgid(UID)
                os.setuid(UID)
            os.chdir(cwd)

        ours = {
            key: value for key, value in os.environ.items() if key not in ("SSH_AUTH_SOCK", "SSH_AGENT_PID")
        }
        ours |= {"HOME": str(self.home), "TMPDIR": str(self.home / "tmp"), **(env or {})}
        outside = os.open("/proc/self/ns/pid", os.O_RDONLY)
        try:
            setns(pidfd, NEWPID)
            process = subprocess.Popen(
                [os.fspath(arg) for arg in argv], env=ours, preexec_fn=enter, **options
            )
        finally:
            setns(outside, NEWPID)
            os.close(outside)
        self._procs.append(process)
        return process

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        user: str = "root",
        check: bool = True,
        timeout: float = 30.0,
        input: str | None = None,  # noqa: A002 - as subprocess calls it
        **options: Any,
    ) -> str:
        """Run to the end; stdout and stderr together."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        pipes = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = self.popen(argv, user=user, text=True, **pipes, **options)
        try:
            out, _ = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate(timeout=5)
            raise LabError(f"{self.name}: {argv} did not end within {timeout} s: {out}") from None
        finally:
            self._procs.remove(process)
        if check and process.returncode:
            raise LabError(f"{self.name}: {argv} -> {process.returncode}: {out}")
        return out

    def ps(self) -> dict[int, str]:
        """Command lines of the host's live processes but its init, by pid as seen from outside."""
        found: dict[int, str] = {}
        with contextlib.suppress(OSError):
            here = os.readlink(f"/proc/{self.pid}/ns/pid")
            for entry in Path("/proc").iterdir():
                with contextlib.suppress(OSError, ValueError):
                    pid = int(entry.name)
                    if pid != self.pid and os.readlink(entry / "ns/pid") == here and alive(pid):
                        found[pid] = (entry / "cmdline").read_text().replace("\0", " ").strip()
        return found

    def pids(self, needle: str) -> list[int]:
        """Pids, as seen from outside, of the host's live processes whose command line has `needle`."""
        return [pid for pid, command in self.ps().items() if needle in command]

    def path(self, inside: str) -> Path:
        """From outside: a path of the host, its own mounts included."""
        return Path(f"/proc/{self.pid}/root{inside}")

    # -- sshd -----------------------------------------------------------------

    def sshd(self, port: int = 22, extra: str = "") -> subprocess.Popen[Any]:
        """Start OpenSSH's sshd, keys only; `wait_port` tells when it answers. `extra` settings win."""
        key = self.dir / "ssh_host_ed25519_key"
        if not key.exists():
            self.lab.keygen(key)
        shutil.copy(self.lab.key.with_suffix(".pub"), self.home / ".ssh/authorized_keys")
        os.chown(self.home / ".ssh/authorized_keys", UID, UID)
        config = self.dir / f"sshd_config.{port}"
        settings = SSHD_CONFIG.format(port=port, host_key=key, tmp=self.home / "tmp")
        config.write_text(f"{extra}\n{settings}")  # sshd takes the first of two values
        with (self.dir / "sshd.log").open("ab") as log:
            command = [sshd_path() or "sshd", "-D", "-e", "-f", config]
            return self.popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_port(self, port: int = 22, timeout: float = 10.0) -> None:
        """Wait until something in the host listens on `port`."""
        end = time.monotonic() + timeout
        with self.lab.enter(self.name):
            while True:
                with socket.socket() as probe:
                    if not probe.connect_ex(("127.0.0.1", port)):
                        return
                if time.monotonic() > end:
                    raise LabError(f"{self.name}: nothing listens on {port} after {timeout} s")
                time.sleep(0.005)

    def known_hosts_line(self, port: int = 22) -> str:
        """The host's sshd as a known_hosts file has it."""
        kind, key, *_ = (self.dir / "ssh_host_ed25519_key.pub").read_text().split()
        names = [self.ip, f"{self.name}.local"]
        return f"{','.join(n if port == 22 else f'[{n}]:{port}' for n in names)} {kind} {key}\n"

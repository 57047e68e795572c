"""Linux namespaces: what a virtual host is made of, and whether this machine lets us make one."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
UNSHARE = ["unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
PROJECT = Path(__file__).resolve().parents[2]

# Runs as PID 1 of a host; $1 is its name, $2 its directory. It says "ready", waits for its interfaces to be
# put in, configures them, says "up", and then is only there to end when its owner does: `cat` sees EOF, and
# the kernel kills whatever else runs in the host. The ignored SIGCHLD survives exec and makes the kernel
# reap orphans; the shell's own `trap '' CHLD` would not.
INIT = r"""
set -e
umask 022
echo "$1" >/proc/sys/kernel/hostname
. "$2/mounts.sh"
for key in all default; do echo 0 >/proc/sys/net/ipv6/conf/$key/accept_dad || true; done 2>/dev/null
[ "$1" != switch ] || echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 || true
echo ready
read -r go
ip -batch "$2/net.batch"
echo up
exec env --ignore-signal=CHLD cat >/dev/null
"""

_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd: int, kinds: int) -> None:
    """Move the calling thread (for NEWPID: its future children) into a namespace."""
    if _libc.setns(fd, kinds):
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")


def unshare(kinds: int) -> None:
    """Move the calling thread into new namespaces."""
    if _libc.unshare(kinds):
        error = ctypes.get_errno()
        raise OSError(error, f"unshare: {os.strerror(error)}")


def sshd_path() -> str | None:
    """Where sshd is; /usr/sbin need not be on the PATH."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def why_not() -> str | None:
    """Why no lab can be made here, or None."""
    if sys.platform != "linux":
        return "it needs Linux"
    if os.geteuid():
        return "it needs root"
    for tool in ("ip", "bridge", "unshare", "nsenter", "mount", "ssh-keygen"):
        if not shutil.which(tool):
            return f"it needs {tool}"
    if not sshd_path():
        return "it needs sshd"
    attempt = (
        "mount -t tmpfs tmpfs /run && ip link add br0 type bridge && ip link add ve0 type veth peer name ve1"
    )
    try:
        done = subprocess.run([*UNSHARE, "sh", "-c", attempt], capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "making namespaces hangs here"
    return f"namespaces are not allowed here: {done.stderr.strip()}" if done.returncode else None


def _interpreter() -> Iterator[Path]:
    """Every directory that starting `sys.executable` passes through, and the project."""
    hop = Path(sys.executable)
    yield hop.parent
    while hop.is_symlink():
        hop = hop.parent / hop.readlink()
        yield hop.parent
    yield from (Path(sys.prefix), Path(sys.base_prefix), PROJECT)


def _closed(path: Path) -> Path | None:
    """The topmost directory on the way to `path`, or `path` itself, that an ordinary user may not enter."""
    for step in (*reversed(path.parents), path):
        if step.is_dir() and not step.stat().st_mode & stat.S_IXOTH:
            return step
    return None


def _wanted(paths: Iterable[Path]) -> dict[Path, Path]:
    """Path -> the closed directory it is in, for those that are in one; none inside another."""
    spelled = {Path(os.path.abspath(path)) for path in paths}
    found: dict[Path, Path] = {}
    for path in sorted(spelled | {path.resolve() for path in spelled}):
        closed = _closed(path)
        if closed is None or any(path.is_relative_to(kept) for kept in found):
            continue
        # A bind mount keeps its modes: a closed directory is opened by binding what it holds.
        found.update(dict.fromkeys(path.iterdir() if path == closed else [path], closed))
    return found


def exposing(*more: Path) -> str:
    """Shell lines that let an ordinary user reach this interpreter, the project and `more`.

    They may be in places only root can enter: a pyenv or uv directory below /root, or a private directory
    below /tmp. Such a place is covered by an empty one, and only what is needed is bound back into it, so
    nothing else of it is seen in the host, not even by the host's root. Needs a /run of the host's own.
    """
    kept = _wanted([*_interpreter(), *more])
    names = [(path, closed, f"/run/keep/{number}") for number, (path, closed) in enumerate(kept.items())]
    lines: list[str] = []
    for path, _, keep in names:
        lines += [_mountpoint(path, keep), f"mount --rbind {shlex.quote(str(path))} {keep}"]
    for closed in sorted(set(kept.values())):
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(closed))}")
    for path, _, keep in names:
        lines += [_mountpoint(path, str(path)), f"mount --rbind {keep} {shlex.quote(str(path))}"]
    return "\n".join(lines) + "\n"


def _mountpoint(like: Path, at: str) -> str:
    if like.is_dir():
        return f"mkdir -p {shlex.quote(at)}"
    return f"mkdir -p {shlex.quote(os.path.dirname(at))}; : >{shlex.quote(at)}"

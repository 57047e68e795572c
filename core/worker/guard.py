"""Supervise one worker and never outlive the console that asked for it.

Started over ssh as `python <dir>/worker/guard.py --lease SECONDS`; stdlib only, Python 3.8. A blocked
collective or a native call that holds the GIL cannot end itself: it is ended from outside, with its group.

stdin:  lines. Anything read renews the lease; an empty line is a beat and goes no further; other lines go to
        the worker. End of file, or a lease that runs out, ends the worker.
stdout: the worker's own, and {"ev":"halted","on"} when somebody stops it (SIGSTOP) or lets it go on, which it
        cannot say itself; then one line {"ev":"exit","code","signal","why"}; why is "" when the worker ended
        by itself, else "lease", "eof" or "signal" (the guard itself was told to end); "stuck" when not even
        SIGKILL has ended it.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes.util
import glob
import json
import os
import select
import signal
import subprocess
import sys
import time

GRACE = 2.0  # seconds between SIGTERM and SIGKILL
STUCK = 3.0  # seconds after SIGKILL; who lives on is held by the kernel or a driver
READ = 1 << 16
LIBRARIES = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib", "/opt/OpenBLAS/lib")
BLAS = ("libopenblasp.so.0", "libopenblas.so.0")  # Fedora has its threaded one under a name of its own


class Guard:
    """One child in its own process group, and the lease it lives under."""

    def __init__(self, lease: float, fast_synch: str | None, awake: bool) -> None:
        self.lease = lease
        self._fast_synch = fast_synch
        self.told = False
        self._wake, wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake, False)
        # A signal writes a byte here, so that `select` returns; SIGCHLD needs some handler to be delivered.
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, self._ended)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)
        self.child = self._spawn()
        assert self.child.stdin is not None
        self._pipe = self.child.stdin.fileno()
        os.set_blocking(self._pipe, False)
        self._pending = b""  # what the worker has not taken yet
        self._open = True  # the worker still reads
        self._halted = False
        self._waking = self._keep_awake() if awake else None

    def _ended(self, *_: object) -> None:
        """Nothing to do: the wake-up alone is wanted."""

    def _end(self, *_: object) -> None:
        self.told = True

    def _spawn(self) -> subprocess.Popen[bytes]:
        package = os.path.dirname(os.path.abspath(__file__))
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH")}
        env.update(faster(env))
        if self._fast_synch is not None:
            env["MLX_METAL_FAST_SYNCH"] = self._fast_synch
        return subprocess.Popen(
            [sys.executable, "-u", "-m", os.path.basename(package)],
            stdin=subprocess.PIPE,
            bufsize=0,
            cwd=os.path.dirname(package),
            env=env,
            start_new_session=True,
        )

    def _keep_awake(self) -> subprocess.Popen[bytes] | None:
        """The Mac does not sleep as long as the worker lives; its display may."""
        try:
            return subprocess.Popen(
                ["caffeinate", "-is", "-w", str(self.child.pid)], stdin=subprocess.DEVNULL
            )
        except OSError as error:
            print(f"this computer is not kept awake: caffeinate: {error.strerror}", file=sys.stderr)
            return None

    def watch(self) -> str:
        """Pass lines on until the worker ends by itself ("") or has to: "lease", "eof", "signal"."""
        line = b""
        deadline = time.monotonic() + self.lease
        while self._poll() is None:
            left = deadline - time.monotonic()
            if self.told:
                return "signal"
            if left <= 0:
                return "lease"
            writing = [self._pipe] if self._pending and self._open else []
            readable, writable, _ = select.select([0, self._wake], writing, [], left)
            if self._wake in readable:
                self._drain()
            if writable:
                self._forward()
            if 0 in readable:
                data = os.read(0, READ)
                if not data:
                    return "eof"
                deadline = time.monotonic() + self.lease
                *lines, line = (line + data).split(b"\n")
                self._pending += b"".join(one + b"\n" for one in lines if one.strip())
        return ""

    def _drain(self) -> None:
        try:
            while os.read(self._wake, READ):
                pass
        except BlockingIOError:
            return

    def _forward(self) -> None:
        try:
            taken = os.write(self._pipe, self._pending[:READ])
        except BlockingIOError:
            return
        except BrokenPipeError:  # the worker is on its way out: its exit is reported, not this
            self._open = False
            return
        self._pending = self._pending[taken:]

    def _poll(self) -> int | None:
        """The worker's return code, None while it lives; says so when it was stopped or continued."""
        while self.child.returncode is None:
            pid, status = os.waitpid(self.child.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if not pid:
                break
            if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
                self._halted = os.WIFSTOPPED(status)
                say({"ev": "halted", "on": self._halted})
            else:
                ended = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                self.child.returncode = ended
        return self.child.returncode

    def finish(self) -> int | None:
        """End the whole group; return the worker's return code as Popen gives it (negative: a signal).

        None when it lives on although it was killed.
        """
        self._signal(signal.SIGTERM)
        if not self._halted:  # who is stopped never hears SIGTERM
            self._wait(GRACE)
        # Also when the worker itself is gone: whatever it started shares its group.
        self._signal(signal.SIGKILL)
        if self._waking is not None:
            self._waking.terminate()
        return self._wait(STUCK)

    def _wait(self, seconds: float) -> int | None:
        deadline = time.monotonic() + seconds
        while self._poll() is None and time.monotonic() < deadline:
            select.select([self._wake], [], [], max(0.0, deadline - time.monotonic()))
            self._drain()
        return self.child.returncode

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.child.pid, number)
        except (ProcessLookupError, PermissionError):
            # Nobody left; macOS says EPERM where only a zombie is left.
            return


def faster(env: dict[str, str]) -> dict[str, str]:
    """What to add to `env` so that MLX computes with the machine's OpenBLAS where it has only a CPU on Linux.

    Its wheel brings the reference BLAS, some 30 times slower at matrix products. EXO_TUI_BLAS names another
    library, or none when it is empty.
    """
    if not sys.platform.startswith("linux") or not _cpu_only():
        return {}
    library = env.get("EXO_TUI_BLAS")
    library = _openblas() if library is None else library
    if not library:
        return {}
    before = env.get("LD_PRELOAD", "")
    more = {"LD_PRELOAD": before + ":" + library if before else library}
    if "OPENBLAS_THREAD_TIMEOUT" not in env:
        more["OPENBLAS_THREAD_TIMEOUT"] = "12"  # 2^12 cycles; by default its threads spin for 2^26 after each
    return more


def _cpu_only() -> bool:
    """Whether the MLX of this interpreter is the one for CPUs; not imported, that takes a while."""
    return any(glob.glob(os.path.join(glob.escape(path), "mlx_cpu-*.dist-info")) for path in sys.path if path)


def _openblas() -> str | None:
    """A path, or a name the loader knows; None without one."""
    for name in BLAS:
        for folder in LIBRARIES:
            found = sorted(glob.glob(os.path.join(folder, name)))
            if found:
                return found[0]
    return ctypes.util.find_library("openblas")


def say(line: dict[str, object]) -> None:
    """One line to the console, short enough that the worker's own cannot come in between."""
    with contextlib.suppress(OSError):  # nobody listens any more: the exit code still tells
        os.write(1, (json.dumps(line) + "\n").encode())


def main() -> int:
    """Run one worker; exit as it did."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lease", type=float, required=True, help="seconds without a line before the end")
    parser.add_argument("--fast-synch", choices=("0", "1"), help="MLX_METAL_FAST_SYNCH of the worker")
    parser.add_argument("--awake", action="store_true", help="the Mac does not sleep meanwhile")
    args = parser.parse_args()
    guard = Guard(args.lease, args.fast_synch, args.awake)
    why = guard.watch()
    code = guard.finish()
    if code is None:
        say({"ev": "exit", "code": None, "signal": None, "why": "stuck"})
        return 1
    name = signal.Signals(-code).name if code < 0 else None
    say({"ev": "exit", "code": code if code >= 0 else None, "signal": name, "why": why})
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())

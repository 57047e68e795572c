from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from core.remote.local import LocalMachine
from core.remote.machine import LONGEST_LINE, Exit, Process, content_name, split_lines
from core.run.rank import worker_files

LIMIT = 30.0
"""Seconds anything may take on a busy machine."""


@pytest.fixture
def machine(tmp_path: Path) -> LocalMachine:
    return LocalMachine(sys.executable, tmp_path / "cache")


def python(program: str) -> list[str]:
    return [sys.executable, "-u", "-c", program]


async def collect(lines: AsyncIterator[bytes]) -> list[bytes]:
    async with asyncio.timeout(LIMIT):
        return [line async for line in lines]


async def ended(process: Process) -> Exit:
    async with asyncio.timeout(LIMIT):
        return await process.wait()


async def gone(pids: list[int]) -> list[int]:
    """Those that still run after `LIMIT`; at once when there are none."""

    def left() -> list[int]:
        return [
            p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE
        ]

    loop = asyncio.get_running_loop()
    end = loop.time() + LIMIT
    while left() and loop.time() < end:  # noqa: ASYNC110 - the kernel sends no event for another's child
        await asyncio.sleep(0.02)
    return left()


async def test_a_process_has_three_streams_and_a_code(machine: LocalMachine, tmp_path: Path) -> None:
    program = (
        "import os, sys; print(os.getcwd()); print(input()[::-1]); print('no', file=sys.stderr); exit(7)"
    )
    process = await machine.start(python(program), str(tmp_path))
    process.write(b"abc\n")
    assert await collect(process.lines()) == [str(tmp_path).encode(), b"cba"]
    assert await collect(process.errors()) == [b"no"]
    assert await ended(process) == Exit(7)
    process.write(b"too late\n")
    process.kill()


async def test_closing_its_standard_input_asks_a_process_to_end(machine: LocalMachine) -> None:
    process = await machine.start(python("import sys; sys.stdin.read(); print('bye')"))
    process.end()
    process.end()
    assert await collect(process.lines()) == [b"bye"]
    assert await ended(process) == Exit(0)


async def test_a_killed_process_is_told_from_one_that_ended(machine: LocalMachine) -> None:
    process = await machine.start(python("import time; time.sleep(600)"))
    process.kill()
    assert await ended(process) == Exit(None, "SIGKILL")


async def test_a_ctrl_c_in_the_terminal_is_not_meant_for_it(machine: LocalMachine) -> None:
    process = await machine.start(python("import os; print(os.getsid(0) == os.getpid())"))
    assert await collect(process.lines()) == [b"True"]
    await ended(process)


async def test_a_program_that_is_not_there_is_an_oserror(machine: LocalMachine) -> None:
    with pytest.raises(OSError, match="nowhere"):
        await machine.start(["nowhere-to-be-found"])


async def test_shipped_files_lie_in_a_folder_named_by_their_content(
    machine: LocalMachine, tmp_path: Path
) -> None:
    files = {"a.py": b"1", "b.py": b"2"}
    folder = await machine.ship(files, "worker")
    assert Path(folder) == tmp_path / "cache/worker" / content_name(files)
    assert {p.name: p.read_bytes() for p in Path(folder, "worker").iterdir()} == files
    assert await machine.has(folder) and not await machine.has(f"{folder}/c.py")
    again, other, *_ = await asyncio.gather(
        machine.ship(files, "worker"), machine.ship(files | {"a.py": b"3"}, "worker")
    )
    assert again == folder
    assert {p.name for p in Path(folder).parent.iterdir()} == {Path(folder).name, Path(other).name}


@pytest.mark.parametrize(
    "changed", [{"a": b"xy"}, {"a": b"", "b": b"x"}, {"ax": b""}, {}, {"a": b"x", "b": b""}]
)
def test_any_change_changes_the_folder(changed: dict[str, bytes]) -> None:
    assert content_name(changed) != content_name({"a": b"x"})
    assert content_name({"a": b"x", "c": b"y"}) == content_name({"c": b"y", "a": b"x"})


@pytest.mark.parametrize(("way", "frozen"), [("end", False), ("end", True), ("kill", False)])
async def test_a_guarded_worker_is_no_orphan(machine: LocalMachine, way: str, frozen: bool) -> None:
    """Not even one that stands still when its guard is ended; a killed guard takes along one that runs."""
    package = {"guard.py": worker_files()["guard.py"], "__main__.py": STAND_IN, "__init__.py": b""}
    folder = await machine.ship(package, "worker")
    guard = await machine.start([sys.executable, "-u", "worker/guard.py", "--lease", "600"], folder)
    lines = guard.lines()
    async with asyncio.timeout(LIMIT):
        pids = json.loads(await anext(lines))
    assert all(map(psutil.pid_exists, pids))
    if frozen:
        psutil.Process(pids[0]).send_signal(signal.SIGSTOP)
    guard.end() if way == "end" else guard.kill()
    assert await gone(pids) == []
    if way == "end":
        assert json.loads((await collect(lines))[-1])["why"] == "eof"
    await ended(guard)


# As the worker does it: whoever reads standard input ends with it. Its child is in its process group.
STAND_IN = b"""
import json, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"])
print(json.dumps([os.getpid(), child.pid]), flush=True)
sys.stdin.read()
child.kill()
"""


def test_an_address_means_what_the_other_end_can_reach(tmp_path: Path) -> None:
    here = LocalMachine(sys.executable, tmp_path)
    assert here.seen_from(here) == "127.0.0.1"
    assert here.seen_from(LocalMachine(sys.executable, tmp_path, "192.0.2.1")) == "192.0.2.1"


def source(*chunks: bytes) -> Callable[[int], Awaitable[bytes]]:
    rest = iter([*chunks, b""])

    async def read(_: int) -> bytes:
        return next(rest)

    return read


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a", b"b\nc", b"\n"], [b"ab", b"c"]),
        ([b"\n\nx"], [b"", b"", b"x"]),
        ([b"x" * LONGEST_LINE, b"\ny\n"], [b"x" * LONGEST_LINE, b"y"]),
        ([b"x" * LONGEST_LINE, b"x\ny\n"], [b"y"]),
        ([b"x" * LONGEST_LINE] * 5 + [b"\ny"], [b"y"]),
        ([b"x" * LONGEST_LINE] * 2, []),
        ([b"x" * (LONGEST_LINE - 1), b"x", b"\ny"], [b"x" * LONGEST_LINE, b"y"]),
        ([b"xy"] * 200_000 + [b"\n"], [b"xy" * 200_000]),
        ([b"xy"] * 600_000 + [b"\nz"], [b"z"]),
    ],
)
async def test_a_line_too_long_is_dropped_whole_and_no_other(chunks: list[bytes], lines: list[bytes]) -> None:
    assert await collect(split_lines(source(*chunks))) == lines

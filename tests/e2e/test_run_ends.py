"""However `exo-tui run` ends, it leaves nothing: no worker, no agent, no SSH server, no announcement."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import psutil
import pytest

from tests.e2e.processes import AGENT, GUARD, SERVER, WORKER
from tests.e2e.until import LIMIT_S, soon, until

PROMISED_S = 10.0
"""After `kill -9` of the console nothing is alive any more."""
LONG = 4000  # tokens: more than a test waits for


def _ports(servers: list[psutil.Process]) -> set[int]:
    found: set[int] = set()
    for server in servers:
        with contextlib.suppress(psutil.NoSuchProcess):  # a child that has not become another yet
            found |= {c.laddr.port for c in server.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    return found


def _answering(exo, *args: object):
    """`exo-tui run` with a long answer, its words streaming to standard output."""
    return exo.started("run", *args, "--prompt", "Go on", "--max-tokens", LONG, "--temp", 1, "--seed", 1)


def _is_at_work(process, exo, workers: int, servers: int) -> None:
    """Wait for the first words, and see that everything this test is about is there."""
    assert process.stdout.read(1), process.stderr.read()
    assert len(exo.alive(GUARD)) == workers
    assert len(exo.alive(WORKER)) >= 2 * workers  # the guards, and whom they guard
    assert len(exo.alive(SERVER)) == servers
    assert len(exo.alive(AGENT)) == workers


async def test_a_clean_run_leaves_nothing(exo, tiny, adverts) -> None:
    asked = ("run", tiny("llama"), "--prompt", "Hello", "--max-tokens", 200, "--demo-devices", 2)
    with exo.started(*asked) as process:
        await soon(lambda: len(exo.alive(SERVER)) == 2 and len(_ports(exo.alive(SERVER))) == 2, "SSH servers")
        ports = _ports(exo.alive(SERVER))
        await soon(lambda: ports <= set(adverts.ports.values()), "announcements")
        out, err = await asyncio.to_thread(process.communicate, timeout=LIMIT_S)
        assert process.returncode == 0, err
        assert out.strip()
        assert "tok/s" in err
        assert not exo.alive()
        await soon(lambda: not ports & set(adverts.ports.values()), "announcements taken back")
    assert not list(exo.scratch.iterdir())


async def test_kill_9_of_the_console_leaves_nothing_after_the_lease(exo, tiny, adverts) -> None:
    with _answering(exo, tiny("llama"), "--demo-devices", 3, "--split", "2,1,3") as process:
        await asyncio.to_thread(_is_at_work, process, exo, 3, 3)
        ports = _ports(exo.alive(SERVER))
        await soon(lambda: ports <= set(adverts.ports.values()), "announcements")
        process.kill()
        await soon(lambda: not exo.alive(), "nothing left alive", PROMISED_S)
        await soon(lambda: not ports & set(adverts.ports.values()), "announcements taken back")
    assert not list(exo.scratch.iterdir()), "no key is left lying about"


def test_kill_9_ends_a_worker_on_this_machine_too(exo, tiny) -> None:
    with _answering(exo, tiny("llama")) as process:
        _is_at_work(process, exo, 1, 0)
        process.kill()
        exo.leaves_nothing(PROMISED_S)


def test_a_console_that_hangs_loses_its_workers_when_the_lease_is_over(exo, tiny) -> None:
    with _answering(exo, tiny("llama")) as process:
        _is_at_work(process, exo, 1, 0)
        process.send_signal(signal.SIGSTOP)
        until(lambda: not exo.alive(WORKER), "no worker left alive")


def test_where_nobody_can_be_asked_a_run_that_fails_ends_and_shows_what_its_rank_wrote(exo, tiny) -> None:
    """There is no caffeinate here, which the rank says on its stderr."""
    exo.configure('[recover]\npolicy = "ask"\n')
    with _answering(exo, tiny("llama"), "--awake") as process:
        _is_at_work(process, exo, 1, 0)
        [worker] = [one for one in exo.alive(WORKER) if GUARD not in " ".join(one.cmdline())]
        worker.kill()
        _, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 1
        first, *middle, last = err.splitlines()
        assert first.startswith("exo-tui: [recover] policy =") and "nobody can be asked" in first
        assert any(
            line.startswith("exo-tui: rank 0 on this-machine, stderr: this computer is not")
            for line in middle
        )
        assert last.startswith("exo-tui: rank 0 on this-machine was killed (SIGKILL)")


@pytest.mark.parametrize("local", [False, True], ids=["rehearsal", "local"])
def test_control_c_in_mid_answer_exits_130_and_leaves_nothing(local, exo, tiny) -> None:
    where = () if local else ("--demo-devices", 2, "--split", "4,2")
    with _answering(exo, tiny("llama"), *where) as process:
        _is_at_work(process, exo, *((1, 0) if local else (2, 2)))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole foreground
        _, err = process.communicate(timeout=LIMIT_S)
        assert (process.returncode, err) == (130, "exo-tui: interrupted\n")
        assert not exo.alive()
    assert not list(exo.scratch.iterdir())


@pytest.mark.parametrize("so_far", [SERVER, AGENT, GUARD], ids=["servers", "agents", "workers"])
def test_control_c_on_the_way_up_exits_130_and_leaves_nothing(so_far, exo, tiny) -> None:
    with _answering(exo, tiny("llama"), "--demo-devices", 2, "--split", "4,2") as process:
        until(lambda: exo.alive(so_far), so_far)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT_S)
        assert (process.returncode, out.strip(), err) == (130, "", "exo-tui: interrupted\n")
        exo.leaves_nothing()
    assert not list(exo.scratch.iterdir())

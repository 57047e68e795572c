"""The lab's own behaviour: what the other tests here rely on."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asyncssh
import pytest

from .host import Host, alive, process_state
from .namespaces import PROJECT
from .vlab import Lab, sweep


def gone(pids: list[int], timeout: float = 5.0) -> bool:
    """Whether all of them have ended within the time."""
    end = time.monotonic() + timeout
    while any(map(alive, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


async def test_the_console_reaches_every_host_by_ssh(lab: Lab, console: Host) -> None:
    for host in lab.machines:
        async with asyncssh.connect(host.ip, **lab.ssh()) as connection:
            done = await connection.run("hostname; id -un; echo $HOME", timeout=10)
            assert done.stdout == f"{host.name}\nmac\n{host.home}\n"


def test_the_outside_is_out_of_reach(console: Host) -> None:
    assert {name for _, name in socket.if_nameindex()} == {"lo", "eth0"}
    for address in ("192.0.2.1", "1.1.1.1"):
        with pytest.raises(OSError) as caught:
            socket.create_connection((address, 53), timeout=1)
        assert caught.value.errno == errno.ENETUNREACH


async def test_the_account_can_run_this_interpreter(lab: Lab, console: Host) -> None:
    """Wherever it is, below root's home too; over ssh, as the product does it, and with its code."""
    program = "import os, core, mlx.core as mx; print(os.getuid() > 0, mx.array([1, 2]).sum().item())"
    command = f"cd '{PROJECT}' && exec '{sys.executable}' -c '{program}'"
    async with asyncssh.connect(lab["h1"].ip, **lab.ssh()) as connection:
        done = await connection.run(command, timeout=30)
    assert (done.stdout, done.stderr) == ("True 3\n", "")


def test_the_account_sees_nothing_else_of_roots(lab: Lab) -> None:
    """What was opened for the interpreter opens nothing beside it."""
    opened = [Path(sys.executable).resolve(), Path(sys.prefix), Path(sys.base_prefix), PROJECT, lab.dir]
    home = Path("~root").expanduser()
    others = [path for path in home.iterdir() if not any(one.is_relative_to(path) for one in opened)]
    look = 'for path; do [ ! -e "$path" ] || echo "$path"; done'
    assert lab["h1"].run(["sh", "-c", look, "look", *others], user="mac") == ""


def test_hosts_have_their_thunderbolt_addresses(lab: Lab) -> None:
    mine, theirs = lab["h1"].tb["h2"]
    assert lab["h2"].tb["h1"] == (theirs, mine)
    with lab.enter("h2"):
        listener = socket.create_server((theirs, 0))
    with listener, lab.enter("h1"), socket.create_connection(listener.getsockname(), timeout=5) as cable:
        assert cable.getsockname()[0] == mine


def test_only_the_hosts_own_processes_are_listed(lab: Lab) -> None:
    sleeper = lab["h1"].popen(["sleep", "60"], user="mac")
    try:
        assert lab["h1"].pids("sleep 60") == [sleeper.pid]
        assert lab["h2"].pids("sleep 60") == []
    finally:
        sleeper.kill()
        sleeper.wait(5)
    assert lab["h1"].pids("sleep 60") == []


@pytest.mark.parametrize("fault", ["blackhole", "unplug", "freeze", "power_off"])
async def test_a_dead_host_is_seen_by_keepalive(fresh_lab: Lab, fault: str) -> None:
    if fault == "freeze" and fresh_lab["h3"].cgroup is None:
        pytest.skip("freezing needs a writable cgroup v2")
    keepalive = fresh_lab.ssh(keepalive_interval=0.3, keepalive_count_max=2)
    with fresh_lab.enter("console"):
        dead = await asyncssh.connect(fresh_lab["h3"].ip, **keepalive)
        other = await asyncssh.connect(fresh_lab["h1"].ip, **keepalive)
        getattr(fresh_lab, fault)("h3")
        await asyncio.wait_for(dead.wait_closed(), 6)
        assert (await other.run("hostname", timeout=10)).stdout == "h1\n"
        other.abort()


async def test_faults_pass(fresh_lab: Lab) -> None:
    with fresh_lab.enter("console"):
        async with asyncssh.connect(fresh_lab["h1"].ip, **fresh_lab.ssh()) as connection:
            for fault, repair in (
                (lambda: fresh_lab.blackhole("h1"), lambda: fresh_lab.blackhole("h1", on=False)),
                (lambda: fresh_lab.unplug("h1"), lambda: fresh_lab.plug("h1")),
            ):
                fault()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(connection.run("true"), 0.3)
                repair()
                assert (await connection.run("hostname", timeout=20)).stdout == "h1\n"


def test_a_frozen_host_stands_still_until_thawed(fresh_lab: Lab) -> None:
    host = fresh_lab["h2"]
    if host.cgroup is None:
        pytest.skip("freezing needs a writable cgroup v2")
    ticker = host.popen(["sh", "-c", "while echo; do sleep 0.01; done"], stdout=subprocess.PIPE, bufsize=0)
    assert ticker.stdout is not None and ticker.stdout.read(1)
    os.set_blocking(ticker.stdout.fileno(), False)
    fresh_lab.freeze("h2")
    ticker.stdout.read(1 << 16)
    time.sleep(0.2)
    assert not ticker.stdout.read(1 << 16)
    fresh_lab.freeze("h2", on=False)
    time.sleep(0.5)
    assert ticker.stdout.read(1 << 16)


@pytest.mark.parametrize("peer", [None, "h2"])
def test_a_cable_can_be_made_slow(fresh_lab: Lab, peer: str | None) -> None:
    """Only the least of many round trips is looked at: the rest measures how busy this machine is."""
    h1, h2 = fresh_lab["h1"], fresh_lab["h2"]
    fresh_lab.link("h1", peer, delay_ms=10)
    with fresh_lab.enter("h2"):
        echo = socket.socket(type=socket.SOCK_DGRAM)
        echo.bind((h2.tb["h1"][0] if peer else h2.ip, 0))
    with fresh_lab.enter("h1"):
        probe = socket.socket(type=socket.SOCK_DGRAM)
    with echo, probe:
        probe.settimeout(3)
        echo.settimeout(3)
        best = 1e9
        for _ in range(15):
            start = time.perf_counter()
            probe.sendto(b"x", echo.getsockname())
            _, sender = echo.recvfrom(1)
            assert sender[0] == (h1.tb["h2"][0] if peer else h1.ip)
            echo.sendto(b"x", sender)
            probe.recv(1)
            best = min(best, time.perf_counter() - start)
        assert 0.020 <= best < 0.040
        fresh_lab.blackhole("h1", peer)
        probe.sendto(b"x", echo.getsockname())
        echo.settimeout(0.2)
        with pytest.raises(TimeoutError):
            echo.recv(1)


def test_nothing_is_left_after_down(fresh_lab: Lab) -> None:
    hosts = [*fresh_lab.hosts.values(), fresh_lab.switch]
    fresh_lab["h1"].popen(["sh", "-c", "trap '' HUP TERM; sleep 60 & wait"])
    pids = [pid for host in hosts for pid in (host.pid, *host.ps())]
    cgroups = [host.cgroup.path for host in hosts if host.cgroup]
    assert len(pids) > len(hosts) + 3
    fresh_lab.down()
    assert [pid for pid in pids if process_state(pid)] == []
    assert not fresh_lab.dir.exists()
    assert not any(path.exists() for path in cgroups)
    fresh_lab.down()  # again, as the fixture will: it does no harm


def test_nothing_runs_on_when_the_owner_is_killed(lab: Lab, tmp_path: Path) -> None:
    program = (
        "import time; from lab.vlab import Lab; l = Lab(1).up(); l['h1'].popen(['sleep', '60'])\n"
        "print(*[p for h in (l['h1'], l.switch) for p in (h.pid, *h.ps())], flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    with owner.stdout:
        pids = [int(word) for word in owner.stdout.readline().split()]
    assert len(pids) == 3 and all(map(alive, pids))
    owner.send_signal(signal.SIGKILL)
    owner.wait(5)
    assert gone(pids)
    (left,) = tmp_path.iterdir()
    sweep(tmp_path, older_than=0)
    assert not left.exists()
    cgroup = lab["h1"].cgroup
    assert cgroup is None or not (cgroup.path.parents[1] / left.name).exists()

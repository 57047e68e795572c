"""A device that needs no SSH: this machine, with the agent as its child."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from core import events as ev
from core.bus import Bus
from core.circumstances import hosts, standing
from core.member import Member
from core.probe import frame
from core.remote.connection import Unreachable
from core.remote.door import Refused
from core.remote.hostkeys import HostKeyChanged
from core.remote.local import LocalMachine
from core.remote.machine import Machine
from core.state import ClusterState, Device
from core.survey import Survey

LIMIT = 30.0
UNKNOWN = os.strerror(errno.EADDRNOTAVAIL)


@asynccontextmanager
async def running(bus: Bus, member: Member) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(member.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def reaching(machine: Machine) -> Callable[[], asyncio.Future[Machine]]:
    def reach() -> asyncio.Future[Machine]:
        found: asyncio.Future[Machine] = asyncio.get_running_loop().create_future()
        found.set_result(machine)
        return found

    return reach


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def machine(tmp_path: Path) -> LocalMachine:
    return LocalMachine(sys.executable, tmp_path)


async def until(bus: Bus, reached: Callable[[ClusterState], bool]) -> ClusterState:
    async with asyncio.timeout(LIMIT):
        return await bus.until(reached)


async def becomes(bus: Bus, *status: ev.DeviceStatus) -> Device:
    """The device, once it is so. There is one."""
    state = await until(bus, lambda state: any(d.status in status for d in state.devices.values()))
    [device] = state.devices.values()
    return device


def agents() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]


async def test_a_device_is_ready_with_its_first_sample_and_leaves_no_agent(
    bus: Bus, machine: LocalMachine
) -> None:
    before = agents()
    async with running(bus, Member("here", "?", bus.publish, reaching(machine))):
        await until(bus, lambda state: "here" in state.devices and state.devices["here"].sample is not None)
        # Until then a second interpreter is there, which looks at what mlx there is.
        await until(bus, lambda state: state.devices["here"].checked is not None)
        device = bus.state.devices["here"]
        assert (device.status, device.address) == ("ready", "127.0.0.1")
        assert device.facts is not None and device.sample is not None
        assert 0 < device.sample.memory_used < device.sample.memory_limit
        assert len(agents()) == len(before) + 1
    assert agents() == before


async def test_a_device_whose_agent_dies_is_lost_with_the_reason_and_comes_back(
    bus: Bus, machine: LocalMachine
) -> None:
    seen: list[ev.DeviceSeen] = []
    bus.subscribe(lambda event: seen.append(event) if isinstance(event, ev.DeviceSeen) else None)
    before = agents()
    async with running(bus, Member("here", "?", bus.publish, reaching(machine))):
        await becomes(bus, "ready")
        await until(bus, lambda state: state.devices["here"].checked is not None)
        [agent] = [p for p in agents() if p not in before]
        agent.kill()
        await becomes(bus, "lost")
        assert seen[-1].detail == "the agent ended (SIGKILL)"
        await becomes(bus, "ready")
    assert [event.status for event in seen] == ["connecting", "ready", "lost", "connecting", "ready"]


async def test_what_an_agent_that_fails_says_last_is_the_reason(bus: Bus, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho one >&2\nprintf 'no \\033[31mluck' >&2\nexit 9\n")
    broken.chmod(0o755)
    member = Member("here", "?", bus.publish, reaching(LocalMachine(str(broken), tmp_path)))
    async with running(bus, member):
        device = await becomes(bus, "lost")
    assert device.detail == "the agent ended (9) no luck"


async def test_a_first_sample_that_cannot_be_read_does_not_keep_a_device_from_being_ready(
    bus: Bus, tmp_path: Path
) -> None:
    """The interpreter passes on what the agent says, but for its first sample."""
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\n"$REAL" "$@" | while IFS= read -r line; do case "$line" in *\'"seq":0\'*) echo "{}";;'
        " *) printf '%s\\n' \"$line\";; esac; done\n".replace("$REAL", sys.executable)
    )
    python.chmod(0o755)
    async with running(bus, Member("here", "?", bus.publish, reaching(LocalMachine(str(python), tmp_path)))):
        device = await becomes(bus, "ready", "lost")
        assert device.status == "ready"
        assert any("unknown" in alert.text for alert in bus.state.alerts)


@pytest.mark.parametrize(("long", "waits"), [(600.0, [0, 1, 2, 3]), (0.0, [0, 0, 0, 0])])
async def test_one_whose_agent_dies_at_once_is_entered_ever_more_seldom(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: float, waits: list[int]
) -> None:
    """What held longer than the longest wait was no failure: here everything, where that one is 0."""
    asked: list[int] = []
    lost: list[ev.AnyEvent] = []
    bus.subscribe(lambda event: lost.append(event) if getattr(event, "status", "") == "lost" else None)

    class Waits(tuple[float, ...]):
        def __getitem__(self, at: Any) -> Any:
            asked.extend([at] * (at >= 0))
            return super().__getitem__(at)

    monkeypatch.setattr("core.member.RETRY_S", Waits((0.0, 0.0, 0.0, long)))
    member = Member("here", "?", bus.publish, reaching(LocalMachine("/bin/false", tmp_path)))
    async with running(bus, member):
        await until(bus, lambda _: len(lost) >= len(waits))
        assert asked[: len(waits)] == waits
        if long:
            await member.again()
            await becomes(bus, "connecting")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused("no", "host key", ""), "refused"),
        (HostKeyChanged("no"), "refused"),
        (Unreachable("no"), "lost"),
        (OSError("no"), "lost"),
    ],
)
async def test_only_what_may_pass_is_tried_again(bus: Bus, error: Exception, status: str) -> None:
    tries = 0

    async def reach() -> Machine:
        nonlocal tries
        tries += 1
        raise error

    member = Member("there", "192.0.2.7", bus.publish, reach)
    async with running(bus, member):
        device = await becomes(bus, "refused", "lost")
        assert (device.status, device.detail) == (status, "no")
        if status == "refused":
            assert tries == 1
            await member.again()
        await becomes(bus, "connecting")
        await becomes(bus, "refused", "lost")
        assert tries == 2


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is nobody's where loopback is one address")
async def test_two_devices_measure_the_link_between_them(bus: Bus, machine: LocalMachine) -> None:
    elsewhere = LocalMachine(sys.executable, Path(), "127.0.0.2")  # its agent must listen there first
    a = Member("a", "?", bus.publish, reaching(elsewhere))
    b = Member("b", "?", bus.publish, reaching(machine))
    async with running(bus, a), running(bus, b):
        await until(bus, lambda _: bool(a.ports and b.ports))
        assert "127.0.0.2" not in b.ports
        async with asyncio.timeout(LIMIT):
            await a.probe(b)
    link = bus.state.links["a→b"]
    assert link.last is not None, link.failure
    assert (link.last.kind, link.last.address, link.last.received) == ("loopback", "127.0.0.2", 30)
    assert 0 < link.last.min_us <= link.last.p50_us <= link.last.p99_us


async def test_a_link_to_where_nobody_can_listen_fails_with_the_reason(
    bus: Bus, machine: LocalMachine
) -> None:
    elsewhere = LocalMachine(sys.executable, Path(), "127.0.0.1")
    elsewhere.local_address = "192.0.2.1"  # nobody's
    a = Member("a", "?", bus.publish, reaching(elsewhere))
    b = Member("b", "?", bus.publish, reaching(machine))
    async with running(bus, a), running(bus, b):
        await until(bus, lambda _: bool(a.ports and b.ports))
        async with asyncio.timeout(LIMIT):
            await a.probe(b)
    assert bus.state.links["a→b"].failure == f"b cannot listen on 192.0.2.1: {UNKNOWN}"


@pytest.mark.parametrize("address", ["192.0.2.1", "fe80::1"])  # nobody's; no place without its interface
async def test_a_device_that_cannot_listen_where_it_is_reached_has_links_all_the_same(
    bus: Bus, machine: LocalMachine, tmp_path: Path, address: str
) -> None:
    """Over an address that it can listen on."""
    nowhere = LocalMachine(sys.executable, tmp_path, address)
    a = Member("a", "?", bus.publish, reaching(machine))
    b = Member("b", "?", bus.publish, reaching(nowhere))
    c = Member("c", "?", bus.publish, reaching(bare(tmp_path)))
    async with running(bus, a), running(bus, b), running(bus, c):
        await until(bus, lambda state: [d.status for d in state.devices.values()] == ["ready"] * 3)
        surveying = asyncio.create_task(Survey({"a": a, "b": b, "c": c}, bus).run())
        try:
            state = await until(bus, lambda state: bool(state.links))
        finally:
            surveying.cancel()
            await asyncio.gather(surveying, return_exceptions=True)
    [link] = state.links.values()  # a shell in place of an agent measures nothing
    assert {link.source, link.target} == {"a", "b"}
    assert link.last is not None and link.last.address == "127.0.0.1", link.failure


def bare(tmp_path: Path) -> LocalMachine:
    """A machine whose Python is not there, as a shell says it."""
    missing = tmp_path / "python"
    missing.write_text("#!/bin/sh\nexit 127\n")
    missing.chmod(0o755)
    return LocalMachine(str(missing), tmp_path)


async def test_a_device_without_python_is_sampled_by_a_shell_and_left_out_of_plans(
    bus: Bus, tmp_path: Path
) -> None:
    before = agents()
    async with running(bus, Member("here", "?", bus.publish, reaching(bare(tmp_path)))):
        state = await until(
            bus,
            lambda state: any(
                d.sample and d.wiring and d.wiring.at("127.0.0.1") for d in state.devices.values()
            ),
        )
        device = state.devices["here"]
        assert (device.status, device.detail) == (
            "ready",
            f"there is no {tmp_path}/python; name one with `python` in config.toml",
        )
        assert device.facts is not None and device.facts.python == "" and device.facts.cores >= 1
        assert device.sample is not None and 0 < device.sample.memory_used < device.sample.memory_limit
        assert hosts(state) == [] and standing(state) == {"here": "has no Python to run a rank with"}
    assert agents() == before


async def test_the_shell_that_samples_ends_with_its_lease_and_with_its_input(tmp_path: Path) -> None:
    script = frame.shell_agent().replace("left=15\n", "left=2\n", 1)
    for stays, code in ((True, 3), (False, -15)):
        shell = await asyncio.create_subprocess_exec(
            "sh", "-c", script, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert shell.stdin and shell.stdout
        async with asyncio.timeout(LIMIT):
            await shell.stdout.readline()
            if not stays:
                shell.stdin.close()
            while await shell.stdout.read(4096):
                pass
            assert await shell.wait() == code


async def test_the_stub_of_a_mac_without_developer_tools_is_never_started(tmp_path: Path) -> None:
    for name, script in {"uname": "echo Darwin", "xcode-select": "exit $TOOLS"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    # The shell of the guard is asked where python3 is; the answer is a Mac's.
    guard = "command() { echo /usr/bin/python3; }\n" + frame.GUARD
    for tools, code in ((0, 0), (2, 127)):
        child = await asyncio.create_subprocess_exec(
            "sh", "-c", guard, "sh", "true", env={"PATH": f"{tmp_path}:/usr/bin:/bin", "TOOLS": str(tools)}
        )
        assert await child.wait() == code

"""Entering a machine, and the Python that is made there; the lab's tests make a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from core import events as ev
from core import provisioning
from core.bus import Bus
from core.intents import why_not_launch, why_not_provision
from core.plan.plan import Plan, Stage
from core.remote import provision
from core.remote.door import Door
from core.remote.hostkeys import HostKeys
from core.remote.local import LocalMachine, LocalProcess
from core.remote.target import Target
from tests.unit.benches import SPEC

WANTED = {"mlx": "1.0", "mlx-lm": "2.0"}
PYTHON = """#!/bin/sh
echo "$0 $1 $2"
[ "$2" != venv ] || { mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; }
"""


async def test_a_python_in_the_users_home_makes_the_one_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my own").mkdir()
    python = tmp_path / "my own/python"
    python.write_text(PYTHON)
    python.chmod(0o755)

    class WithoutUv(LocalMachine):
        async def start(self, argv: Sequence[str], folder: str | None = None) -> LocalProcess:
            without = 'command() { [ "$2" != uv ] && echo "$2"; }\n'
            return await super().start([*argv[:2], without + argv[2]], folder)

    said: list[str] = []
    async with asyncio.timeout(30):
        await provision.provision(WithoutUv("~/my own/python", tmp_path), WANTED, said.append)
    made = tmp_path / provision.folder(WANTED)
    assert said == [f"{python} -m venv", f"{made}/bin/python -m pip"]
    assert (made / ".complete").exists()


async def test_a_machine_that_cannot_be_looked_at_is_left_again(tmp_path: Path) -> None:
    left = asyncio.Event()

    class Server(asyncssh.SSHServer):
        """Lets everybody in, and then does nothing for them."""

        def begin_auth(self, username: str) -> bool:
            return False

        def connection_lost(self, exc: Exception | None) -> None:
            left.set()

    key = asyncssh.generate_private_key("ssh-ed25519")
    async with await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[key]) as server:
        keys = HostKeys(tmp_path / "known_hosts")
        keys.pin("127.0.0.1", server.get_port(), key)
        target = Target(host="127.0.0.1", port=server.get_port(), user="me", ssh_config=False)
        door = Door("mac", target, keys, lambda _: None)
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await door.open()
        async with asyncio.timeout(30):
            await left.wait()


def test_nothing_is_launched_on_a_device_whose_python_is_being_changed() -> None:
    bus = Bus()
    plan = Plan(model="toy", layers=4, stages=(Stage("mac", 0, 4),), context=128, backend="sockets")
    bus.publish(ev.ModelChosen(t=1, spec=SPEC))
    bus.publish(ev.PlanTaken(t=1, plan=plan))
    bus.publish(ev.DeviceSeen(t=1, device="mac", name="mac", address="x", status="ready"))
    bus.publish(ev.DeviceSample(t=1, device="mac", memory_total=2**34, memory_used=0, memory_limit=2**34))
    assert why_not_launch(bus.state) is None
    bus.publish(ev.DeviceProvisioned(t=2, device="mac", how="running", told="uv venv"))
    assert why_not_launch(bus.state) == "the Python of mac is being changed; wait for that"
    bus.publish(ev.DeviceProvisioned(t=3, device="mac", how="done"))
    assert why_not_launch(bus.state) is None
    assert why_not_provision(bus.state, "mac") is None
    bus.publish(ev.RecoveryChanged(t=4, stage="waiting", text="for a device"))
    assert why_not_provision(bus.state, "mac") == "the failed run is being recovered from; stop that first"


async def test_a_python_is_there_once_its_device_has_been_left_to_come_back() -> None:
    did: list[str] = []

    class Machine:
        async def close(self) -> None:
            did.append("left")

    class Entrance:
        async def open(self) -> Machine:
            return Machine()

    class Known:
        name = "mac"

        async def again(self) -> None:
            did.append("again")

    def hear(event: ev.AnyEvent) -> None:
        assert isinstance(event, ev.DeviceProvisioned)
        did.append(event.how)

    async def nothing(_: object) -> None: ...

    known: Any = Known()
    entrance: Any = Entrance()
    say = provisioning._telling(known, hear)
    await provisioning._done("done", nothing, known, entrance, say)
    assert did == ["running", "left", "again", "done"]

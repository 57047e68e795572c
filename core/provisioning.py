"""Giving a device a Python of its own, and taking it away again, told as events."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Literal

from core import events as ev
from core.member import Member, Publish
from core.remote import provision as remote
from core.remote.connection import Unreachable
from core.remote.door import Door, Refused
from core.remote.hostkeys import HostKeyChanged
from core.remote.machine import Machine

How = Literal["running", "done", "failed", "removed"]


async def provision(member: Member, door: Door, publish: Publish) -> None:
    """Make the Python, then let the member connect anew with it."""
    say = _telling(member, publish)

    async def work(machine: Machine) -> None:
        await remote.provision(machine, remote.here(), lambda line: say("running", line))

    await _done("done", work, member, door, say)


async def remove(member: Member, door: Door, publish: Publish) -> None:
    """Remove it, then let the member connect anew with what its configuration names."""
    await _done("removed", remote.remove, member, door, _telling(member, publish))


def _telling(member: Member, publish: Publish) -> Callable[[How, str], None]:
    def say(how: How, told: str) -> None:
        publish(ev.DeviceProvisioned(t=time.time(), device=member.name, how=how, told=told))

    return say


async def _done(
    end: How,
    work: Callable[[Machine], Awaitable[None]],
    member: Member,
    door: Door,
    say: Callable[[How, str], None],
) -> None:
    """On a connection of its own: the member has none while its device has no Python."""
    say("running", "connecting")
    try:
        machine = await door.open()
        try:
            await work(machine)
        finally:
            await machine.close()
    except (Unreachable, Refused, HostKeyChanged, OSError) as error:
        say("failed", str(error))
        return
    await member.again()
    say(end, "")  # from here a launch may use its connection

"""Into a machine over SSH, past the question whether its host key is trusted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from core import events as ev
from core.remote import provision
from core.remote.connection import connect
from core.remote.hostkeys import HostKeys, HostKeyUnknown
from core.remote.ssh import SshMachine
from core.remote.target import Target
from core.text import clean_line


class Refused(Exception):
    """The device cannot be used until somebody changes something; trying again would not help."""

    def __init__(self, text: str, step: str, remedy: str) -> None:
        super().__init__(text)
        self.step = step
        self.remedy = remedy


class Door:
    """Reaches a machine over SSH, and waits for the user's word when its key is unknown."""

    def __init__(
        self, name: str, target: Target, keys: HostKeys, publish: Callable[[ev.AnyEvent], None]
    ) -> None:
        self._name = name
        self._target = target
        self._keys = keys
        self._publish = publish
        self._answer: asyncio.Future[bool] | None = None
        self._turn = asyncio.Lock()
        """One at a time comes in: there is one question, and its answer counts for all."""

    async def open(self) -> SshMachine:
        """A connected machine. Raises Refused when the user does not trust its key, OSError when it is lost,
        else as `connect`."""
        async with self._turn:
            return await self._open()

    async def _open(self) -> SshMachine:
        while True:
            try:
                machine = await connect(self._target, self._keys)
                try:
                    machine.python = await provision.made(machine, provision.here()) or machine.python
                except BaseException:
                    await machine.close()
                    raise
                return machine
            except HostKeyUnknown as unknown:
                if not await self._ask(unknown):
                    told = "you did not accept its host key"
                    raise Refused(told, "host key", "start the console anew to be asked again") from None
                self._keys.pin(unknown.host, unknown.port, unknown.key)

    async def _ask(self, unknown: HostKeyUnknown) -> bool:
        now = time.time()
        host, port = unknown.host, unknown.port
        self._publish(
            ev.DeviceSeen(
                t=now, device=self._name, name=self._name, address=host, status="untrusted",
                detail="its host key waits for your answer",
            )
        )  # fmt: skip
        self._publish(
            ev.TrustAsked(
                t=now,
                device=self._name,
                host=clean_line(host),
                port=port,
                algorithm=unknown.algorithm,
                fingerprint=unknown.fingerprint,
            )
        )
        self._answer = asyncio.get_running_loop().create_future()
        accepted = await self._answer
        self._publish(ev.TrustAnswered(t=time.time(), device=self._name, accepted=accepted))
        return accepted

    def answer(self, accepted: bool) -> None:
        """The user's word on the key asked about, if one is."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(accepted)

"""Listening for peers by multicast DNS.

An advert is a hint: it says where to look, not who is there. zeroconf is imported on `start`,
because it takes longer than a first paint may wait.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.events import AnyEvent, PeersHeard
from core.peers import libp2p
from core.peers.adverts import OWN, Board, advert
from core.peers.sockets import opened

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

SERVICES = [f"{OWN}.local.", "_ssh._tcp.local.", "_sftp-ssh._tcp.local."]
RESOLVE_MS = 3000
TRIES = 3
RESOLVING = 512
"""Instances resolved at once. Adverts beyond it are dropped until they change: only a flood gets there."""
AGAIN_S = 30.0
"""Between two calls of the roll. What was unplugged stays announced for over an hour."""
ANSWER_S = 2.0


class Browser:
    """Puts adverts on the board while it runs, and says when they last answered.

    `interfaces` are IPv4 addresses of this machine to listen on, None for all, by IPv6 too. Questions want
    answers by multicast: those by unicast reach only one of the programs that share the port here.
    """

    def __init__(
        self,
        board: Board,
        publish: Callable[[AnyEvent], None],
        *,
        interfaces: list[str] | None = None,
        again_s: float = AGAIN_S,
    ) -> None:
        self._board = board
        self._publish = publish
        self._interfaces = interfaces
        self._again_s = again_s
        self._names: set[str] = set()
        """Instances that were resolved."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._roll: asyncio.Task[None] | None = None
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None

    async def start(self) -> None:
        """Open the sockets and ask. Raises OSError where there is no interface or no permission."""
        await asyncio.to_thread(importlib.import_module, "zeroconf.asyncio")
        from zeroconf import DNSQuestionType
        from zeroconf.asyncio import AsyncServiceBrowser

        self._zeroconf = opened(self._interfaces)
        self._browser = AsyncServiceBrowser(
            self._zeroconf.zeroconf, SERVICES, handlers=[self._changed], question_type=DNSQuestionType.QM
        )
        if self._interfaces is None:
            libp2p.listen(self._zeroconf.zeroconf, self._board)
        self._roll = asyncio.create_task(self._call_the_roll(self._zeroconf.zeroconf))

    async def rescan(self) -> None:
        """Listen on interfaces that appeared since, and ask there. zeroconf does not notice by itself."""
        if self._zeroconf is not None:
            await self._zeroconf.async_update_interfaces()

    async def close(self) -> None:
        """Stop listening. Publishes nothing more; peers heard so far are not declared lost."""
        if self._browser is not None:
            await self._browser.async_cancel()
        tasks = [*self._tasks.values(), *filter(None, [self._roll])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._zeroconf is not None:
            await self._zeroconf.async_close()
        self._zeroconf = self._browser = self._roll = None

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        resolving = self._tasks.pop(name, None)
        if resolving is not None:
            resolving.cancel()
        if state_change.name == "Removed":
            self._names.discard(name)
            self._board.remove(name)
        elif self._board.full and self._board.key(name) is None:
            self._board.flooded()
        elif len(self._tasks) < RESOLVING:
            task = asyncio.create_task(self._resolve(zeroconf, service_type, name))
            self._tasks[name] = task
            task.add_done_callback(lambda done: self._forget(name, done))

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]

    async def _resolve(self, zeroconf: Zeroconf, service_type: str, name: str) -> None:
        """Ask for host, port, addresses and TXT; on a lossy network more than once."""
        from zeroconf import DNSQuestionType, Error
        from zeroconf.asyncio import AsyncServiceInfo

        try:
            for _ in range(TRIES):
                info = AsyncServiceInfo(service_type, name)
                answered = await info.async_request(zeroconf, RESOLVE_MS, DNSQuestionType.QM)
                if answered and info.server and info.port:
                    addresses = info.parsed_scoped_addresses()
                    self._board.put(
                        advert(name, service_type, info.server, info.port, addresses, info.properties)
                    )
                    if self._board.key(name) is not None:
                        self._names.add(name)
                    return
        except Error:
            return  # a malformed advert, or the browser is closing: there is nothing to show

    async def _call_the_roll(self, zeroconf: Zeroconf) -> None:
        """Ask each instance anew where it is, past the cache, and say who has answered when."""
        from zeroconf import DNSOutgoing, DNSQuestion, current_time_millis  # pyright: ignore[reportPrivateImportUsage]

        srv, internet = 33, 1  # RFC 2782, RFC 1035
        while True:
            await asyncio.sleep(self._again_s)
            if self._interfaces is None:
                libp2p.ask(zeroconf)
            names = sorted(name for name in self._names if self._board.key(name) is not None)
            if not names:
                continue
            asked = DNSOutgoing(0)
            for name in names:
                asked.add_question(DNSQuestion(name, srv, internet))
            zeroconf.async_send(asked)
            await asyncio.sleep(ANSWER_S)
            heard: dict[str, float] = {}
            now, millis = time.time(), current_time_millis()
            for name in names:
                key, record = self._board.key(name), zeroconf.cache.get_by_details(name, srv, internet)
                if key is not None and record is not None:
                    heard[key] = max(heard.get(key, 0.0), now - (millis - record.created) / 1000)
            self._publish(PeersHeard(t=now, heard=heard))

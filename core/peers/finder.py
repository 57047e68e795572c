"""Everything that finds peers: our own ears, macOS's, and the user's files, on one board."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from core.events import Alert, AnyEvent, Cause, DiscoveryLooked
from core.peers.adverts import Board
from core.peers.diagnose import causes, interfaces, listen, outside
from core.peers.dnssd import DnsSd
from core.peers.known import Known, ssh_hosts
from core.peers.mdns import Browser

RESCAN_S = 10.0
QUIET_S = 2.0
"""Without any peer after so long, the likely cause is said."""
LOOK_S = 30.0
"""Between two looks for the cause, while it stays quiet."""


class Finder:
    """Publishes PeerSeen, PeerLost, PeersHeard and, where nobody is announced, DiscoveryLooked.

    A rehearsal has a `scope`: it listens on loopback for its own, and the user's files do not concern it.
    """

    def __init__(
        self,
        publish: Callable[[AnyEvent], None],
        *,
        scope: str | None = None,
        known: Sequence[Known] = (),
        ssh_config: Path | None = None,
    ) -> None:
        self._board = Board(publish, scope=scope, clock=time.time)
        self._publish = publish
        self._scope = scope
        self._known = known
        self._ssh_config = ssh_config
        self._browser = Browser(self._board, publish, interfaces=None if scope is None else ["127.0.0.1"])
        self._dns_sd: DnsSd | None = None
        if scope is None and platform.system() == "Darwin":
            self._dns_sd = DnsSd(self._board, publish)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Look everywhere. Where our own listening is not possible that is said, and the rest goes on."""
        if self._ssh_config is not None:
            hosts = await asyncio.to_thread(ssh_hosts, self._ssh_config)
            self._board.know(_named(self._known, hosts))
        if self._dns_sd is not None:
            self._dns_sd.start()
        failure = ""
        try:
            await self._browser.start()
        except OSError as error:
            failure = str(error)
        if failure and self._scope is not None:
            text = f"cannot listen for the rehearsed devices: {failure}"
            self._publish(Alert(t=time.time(), level="error", subject="discovery", text=text))
        if self._scope is None:
            self._tasks = [asyncio.create_task(self._rescan()), asyncio.create_task(self._explain(failure))]

    async def close(self) -> None:
        """Stop looking, and publish nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._dns_sd is not None:
            await self._dns_sd.close()
        await self._browser.close()

    async def _rescan(self) -> None:
        """Listen anew where an address came or went."""
        before = await asyncio.to_thread(interfaces)
        while True:
            await asyncio.sleep(RESCAN_S)
            now = await asyncio.to_thread(interfaces)
            if now != before:
                before = now
                with contextlib.suppress(OSError, RuntimeError):  # between two networks there may be none
                    await self._browser.rescan()

    async def _explain(self, failure: str) -> None:
        """While nobody else is announced, say why that may be; the first time to the log as well."""
        said: tuple[Cause, ...] | None = None
        logged = False
        await asyncio.sleep(QUIET_S)
        while True:
            places = await asyncio.to_thread(interfaces)
            found: tuple[Cause, ...] = ()
            if not self._board.strangers([address for _, address in places]):
                found = causes(await asyncio.to_thread(listen, outside(places)), failure)
            if found != said:
                self._publish(DiscoveryLooked(t=time.time(), causes=found))
            if found and not logged:
                logged = True
                text = "; ".join(filter(None, (found[0].what, found[0].why, found[0].todo)))
                self._publish(Alert(t=time.time(), level="warning", subject="discovery", text=text))
            said = found
            await asyncio.sleep(LOOK_S if found else RESCAN_S)


def _named(configured: Sequence[Known], hosts: Sequence[Known]) -> list[Known]:
    """Both; a configured host that is an alias of ssh_config is where that says."""
    aliases = {one.name: one for one in hosts}
    found = list(hosts)
    for one in configured:
        alias = aliases.get(one.dial)
        found.append(one if alias is None else replace(alias, name=one.name, dial=one.dial, way=one.way))
    return found

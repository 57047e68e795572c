"""Adverts by the hundred: how long until the list is whole, and what browsing costs while nothing changes.

`python -m tests.bench.discovery [ADVERTS] [IDLE SECONDS]`. The announcing side is another process, as it is
in life; both speak on loopback. Promised: 200 adverts within 3 s, under 1 % of a core idle.
"""

from __future__ import annotations

import asyncio
import sys
import time

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from core import events as ev
from core.peers.adverts import Board
from core.peers.mdns import AGAIN_S, Browser
from core.state import ClusterState, apply

LIMIT = 60.0


async def announce(count: int) -> None:
    """Announce so many, say so, and stay until standard input ends."""
    network = AsyncZeroconf(["127.0.0.1"])
    for number in range(count):
        info = AsyncServiceInfo(
            "_exo-tui._tcp.local.", f"mac {number}._exo-tui._tcp.local.", port=22, addresses=[b"\x7f\0\0\1"],
            server=f"mac-{number}.local.", properties={"chip": "M9", "memory": str(2**37)},
        )  # fmt: skip
        await network.async_register_service(info, cooperating_responders=True)
    print("announced", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await network.async_close()


async def measure(count: int, idle: float) -> None:
    """Print both figures, for a console that comes late and for one that was there."""
    state = ClusterState()
    whole = asyncio.Event()

    def take(event: ev.AnyEvent) -> None:
        nonlocal state
        state = apply(state, event)
        if len(state.peers) >= count:
            whole.set()

    own = [sys.executable, "-m", "tests.bench.discovery", "announce", str(count)]
    pipe = asyncio.subprocess.PIPE
    announcing = await asyncio.create_subprocess_exec(*own, stdin=pipe, stdout=pipe)
    assert announcing.stdin is not None and announcing.stdout is not None
    await announcing.stdout.readline()
    browser = Browser(Board(take, scope=None, clock=time.time), take, interfaces=["127.0.0.1"])
    begun = time.monotonic()
    try:
        await browser.start()
        async with asyncio.timeout(LIMIT):
            await whole.wait()
        print(f"{count} adverts: listed {time.monotonic() - begun:.2f} s after the console began", flush=True)
        await asyncio.sleep(5)  # zeroconf's questions of the start
        busy, since = time.process_time(), time.monotonic()
        await asyncio.sleep(idle)
        share = (time.process_time() - busy) / (time.monotonic() - since)
        heard = sum(time.time() - t < 2 * AGAIN_S for t in state.heard.values())
        print(f"idle for {idle:.0f} s: {share:.3%} of a core; {heard} were heard anew meanwhile", flush=True)
    finally:
        await browser.close()
        announcing.stdin.close()
        await announcing.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["announce"]:
        asyncio.run(announce(int(sys.argv[2])))
    else:
        numbers = [float(arg) for arg in sys.argv[1:]] + [200, 65][len(sys.argv) - 1 :]
        asyncio.run(measure(int(numbers[0]), numbers[1]))

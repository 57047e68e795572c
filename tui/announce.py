"""`exo-tui announce`: be found by consoles on the network."""

from __future__ import annotations

import asyncio
import signal
import sys
from argparse import Namespace

from core import announcing
from tui.cli import DONE, Failure


async def announce(args: Namespace) -> int:
    """Announce until interrupted."""
    # A service manager ends services with SIGTERM: here it is what ctrl+c is.
    work = asyncio.current_task()
    assert work is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        this = await asyncio.to_thread(announcing.here)
        called = args.name or announcing.name()
        open_here = await announcing.takes_logins(args.port)

        def ready() -> None:
            print(f"exo-tui: {called} is announced at port {args.port}: {this}", file=sys.stderr, flush=True)
            if not open_here:
                what = "nothing listens at that port here: switch Remote Login on, or start sshd"
                print(f"exo-tui: {what}", file=sys.stderr, flush=True)

        await announcing.announce(called, args.port, this.txt, ready)
    except (OSError, ValueError) as error:
        raise Failure(f"cannot announce: {error}") from None
    return DONE

"""The commands that open the console."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from argparse import Namespace
from typing import Any

from core.bus import Bus
from core.intents import Intents
from tui.capable import pace, refusal
from tui.cli import DONE, Failure, UsageError


def _needs_terminal() -> None:
    """Raises UsageError where no console can be drawn. Comes before Textual is imported."""
    # Textual draws on stderr.
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise UsageError("the console needs a terminal; `exo-tui devices` and `exo-tui run` do not")
    if reason := refusal(os.environ):
        raise UsageError(reason)
    os.environ.update(pace(os.environ))


def console(args: Namespace) -> int:
    """The console on the devices of this network."""
    return _open(args, args.model, devices=0)


def demo(args: Namespace) -> int:
    """The console on a rehearsal."""
    return _open(args, args.model or "demo", devices=args.devices, chaos=args.chaos)


def _open(args: Namespace, model: str | None, devices: int, *, chaos: bool = False) -> int:
    _needs_terminal()
    gc.disable()  # what is imported for the first picture, and after it, is not garbage
    from tui.app import ConsoleApp

    bus = Bus()

    async def connect() -> Intents:
        # asyncssh, zeroconf and the rest are imported here, after the first paint.
        prepare = await asyncio.to_thread(_prepare)
        gc.freeze()
        gc.enable()
        config = prepare.settings(args)
        wish = prepare.wish(args, config.wish, everywhere=bool(devices))
        if wish.split and not model:
            raise UsageError("--split is for the layers of a --model")
        spec = await prepare.model(model, config.cache, wish) if model else None
        recording = prepare.recorder(bus, args.record)
        rehearsal = prepare.rehearsal(devices) if devices else None
        cluster = prepare.Cluster(
            bus,
            config,
            spec=spec,
            wish=wish,
            rehearsal=rehearsal,
            recorder=recording,
            conversations=config.conversations(rehearsed=bool(devices)),
        )
        await prepare.start(cluster)
        if chaos:
            cluster.disturb()
        return cluster

    app = ConsoleApp(bus, connect, title="exo-tui demo" if devices else "exo-tui")
    app.run()
    return app.return_code or DONE


def _prepare() -> Any:
    from tui import prepare

    return prepare


def replay(args: Namespace) -> int:
    """The console on a recording. What is wrong with the file is said first, also to a script."""
    from core.session.format import RecordingError, read

    try:
        recording = read(args.file)
    except RecordingError as error:
        raise Failure(str(error)) from None
    _needs_terminal()
    from core.session.replay import Player
    from tui.app import ConsoleApp

    bus = Bus()
    player = Player(recording, bus, args.speed)
    app = ConsoleApp(bus, playback=player, title=f"replay {args.file.name}")
    app.run()
    return app.return_code or DONE

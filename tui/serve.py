"""`exo-tui serve`: a model for other programs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from argparse import Namespace

from core import events as ev
from core.api.server import ServeError, TokenNeeded, bind, serving, url
from core.bus import Bus
from core.cluster import Cluster
from core.state import ClusterState
from tui import prepare
from tui.cli import Failure, UsageError
from tui.headless import planned
from tui.lastwords import print_last_words


async def serve(args: Namespace) -> int:
    """Launch, then answer requests until interrupted or until the run ends."""
    # A service manager ends services with SIGTERM: here it is what ctrl+c is.
    work = asyncio.current_task()
    assert work is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    config = prepare.unattended(args)
    wish = prepare.wish(args, config.wish, everywhere=bool(args.demo_devices))
    spec = await prepare.model(args.model, config.cache, wish)
    token: str = args.token or os.environ.get("EXO_TUI_TOKEN") or ""
    try:
        bound = bind(args.host, args.port, token)
    except TokenNeeded as error:
        raise UsageError(f"{error}; name one with --token or EXO_TUI_TOKEN") from None
    except ServeError as error:
        raise Failure(str(error)) from None
    with bound:
        bus = Bus()
        bus.subscribe(print_last_words)
        recording = prepare.recorder(bus, args.record)
        rehearsal = prepare.rehearsal(args.demo_devices) if args.demo_devices else None
        cluster = Cluster(bus, config, spec=spec, wish=wish, rehearsal=rehearsal, recorder=recording)
        try:
            await prepare.start(cluster)
            plan = await planned(cluster)
            if plan.obstacle:
                raise Failure(plan.obstacle)
            await _launch(cluster)
            bus.subscribe(_print_alert)
            async with serving(bound, cluster, spec.name, token):
                print(f"exo-tui: {spec.name} is served at {url(bound)}", file=sys.stderr, flush=True)
                state = await bus.until(_ended)
        finally:
            await cluster.close()
    raise Failure(_reason(state))


async def _launch(cluster: Cluster) -> None:
    """Bring the plan up. Raises Failure."""
    cluster.launch()
    state = await cluster.bus.until(
        lambda state: (
            _ended(state) or _refused(state) or (state.run is not None and state.run.ready is not None)
        )
    )
    if _ended(state) or _refused(state):
        raise Failure(_reason(state))


def _ended(state: ClusterState) -> bool:
    return state.run is not None and not state.run.live and not state.recovering


def _refused(state: ClusterState) -> bool:
    return state.run is None and any(alert.subject == "launch" for alert in state.alerts)


def _reason(state: ClusterState) -> str:
    if state.run is not None and state.run.stopped is not None:
        return state.run.stopped.reason
    return next(alert.text for alert in reversed(state.alerts) if alert.subject == "launch")


def _print_alert(event: ev.AnyEvent) -> None:
    if isinstance(event, ev.Alert) and event.level != "info":
        print(f"exo-tui: {event.subject}: {event.text}", file=sys.stderr, flush=True)

"""`exo-tui doctor`: what is wrong, why, and what to type."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.bus import Bus
from core.cluster import Cluster
from core.collect import bundle
from core.config import THIS_MACHINE, Config, DeviceEntry
from core.doctor import Finding, examine
from core.probe.readings import UNREAD
from core.state import ClusterState
from tui import prepare
from tui.cli import DONE, Failure
from tui.headless import print_json

PATIENCE = 30.0
"""Seconds for every device to answer and to say how it is wired; Thunderbolt takes a Mac up to a second."""
SLACK = 3.0
"""Seconds given to what is measured between devices that are ready."""

LISTENING = 5.0
"""Seconds until it is known whether the network shows anybody."""

MARKS = {"error": "✖", "warning": "▲", "info": "•", "unknown": "?"}


async def doctor(args: Namespace) -> int:
    """Look at the devices once, print what was found, end."""
    config = chosen(prepare.settings(args), args.hosts)
    rehearsal = prepare.rehearsal(args.demo_devices) if args.demo_devices else None
    bus = Bus()
    cluster = Cluster(bus, config, rehearsal=rehearsal)
    try:
        await prepare.start(cluster)
        await _look(cluster)
        state = bus.state
        found = examine(state)
        if args.collect is not None:
            _write(args.collect, bundle(state, cluster.reads, found))
    finally:
        await cluster.close()
    if args.json:
        print_json({"devices": list(state.devices), "cables": state.cables, "findings": found})
        return DONE
    print_findings(found, state)
    return DONE


def chosen(config: Config, hosts: Sequence[str]) -> Config:
    """The settings for these devices only: known ones by name, others as a host to dial."""
    if not hosts:
        return config
    known = {name: entry for entry in config.devices for name in (entry.host, entry.called)}
    named = dict.fromkeys(host for host in hosts if host != THIS_MACHINE)
    entries = tuple(dict.fromkeys(known.get(host) or DeviceEntry(host=host) for host in named))
    return msgspec.structs.replace(config, devices=entries, local=THIS_MACHINE in hosts)


async def _look(cluster: Cluster) -> None:
    bus, count = cluster.bus, cluster.expected

    def answered(state: ClusterState) -> bool:
        settled = [d for d in state.devices.values() if d.status in ("refused", "untrusted", "lost")]
        ready = [d for d in state.devices.values() if d.sample and d.wiring and UNREAD not in d.gaps.values()]
        return len({d.id for d in (*settled, *ready)}) >= count

    def measured(state: ClusterState) -> bool:
        ready = sum(d.status == "ready" for d in state.devices.values())
        return len(state.links) >= ready * (ready - 1) // 2

    def listened(state: ClusterState) -> bool:
        return state.silence is not None or cluster.rehearsed

    for reached, seconds in ((listened, LISTENING), (answered, PATIENCE), (measured, SLACK)):
        with contextlib.suppress(TimeoutError):  # what is missing is among the findings
            async with asyncio.timeout(seconds):
                await bus.until(reached)


def print_findings(found: Sequence[Finding], state: ClusterState) -> None:
    """For a person: the worst first, what is not known last."""
    for one in found:
        print(f"{MARKS[one.level]} {one.where}: {one.what}")
        for line in (one.why, one.todo):
            if line:
                print(f"    {line}")
        for command in one.commands:
            print(f"    {command.device}$ {command.text}")
    trouble = sum(one.level in ("error", "warning") for one in found)
    devices = len(state.devices)
    print(
        f"{devices} device{'s' * (devices != 1)} looked at, {trouble or 'nothing'} to mend", file=sys.stderr
    )


def _write(path: Path, document: dict[str, object]) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from None
    print(f"{path}: read it before you send it", file=sys.stderr)

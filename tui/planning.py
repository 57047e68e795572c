"""The `plan` command: a plan without a launch, for the devices at hand, a file of them, or bare problems."""

from __future__ import annotations

import asyncio
import contextlib
from argparse import Namespace
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import msgspec

from core.bus import Bus
from core.circumstances import hosts, wires
from core.cluster import Cluster
from core.models.spec import ModelSpec
from core.plan import clusterfile, instance
from core.plan.card import card, lines
from core.plan.plan import Host, Plan, PlanError, Wire
from core.plan.problem import InputError
from core.plan.setting import Setting
from core.state import ClusterState
from tui import prepare
from tui.cli import DONE, Failure, UsageError
from tui.headless import planned, print_json

LINKS_S = 5.0
"""Seconds to wait for links that are not measured yet."""


async def plan(args: Namespace) -> int:
    """A plan for the devices at hand, or for those of a file; or the answers to an `exo-plan/1` document."""
    if args.instance is not None:
        return _instances(args.instance, as_json=args.json)
    if args.model is None:
        raise UsageError("name a MODEL, or an exo-plan/1 document with --instance")
    config = prepare.settings(args)
    wish = prepare.wish(args, config.wish)
    if args.cluster is not None:
        try:
            known = clusterfile.decode(_read(args.cluster))
        except InputError as error:
            raise UsageError(f"{args.cluster}: {error}") from None
        spec = await prepare.model(args.model, config.cache, wish)
        _names_are_known(args.on, known[0])
        try:
            chosen = wish.plan(spec, *known)
        except PlanError as error:
            raise Failure(str(error)) from None
        return _show(spec, chosen, *known, as_json=args.json)
    spec = await prepare.model(args.model, config.cache, wish)
    bus = Bus()
    cluster = Cluster(bus, config, spec=spec, wish=wish)
    try:
        await prepare.start(cluster)
        await planned(cluster)
        await measured(bus)
        chosen = await planned(cluster)
    finally:
        await cluster.close()
    return _show(spec, chosen, hosts(bus.state), wires(bus.state), as_json=args.json)


async def measured(bus: Bus) -> None:
    """Return when every pair of ready devices was measured, or has had its time."""

    def complete(state: ClusterState) -> bool:
        ready = [device.id for device in hosts(state)]
        known = {frozenset((link.source, link.target)) for link in state.links.values()}
        return all(frozenset(pair) in known for pair in combinations(ready, 2))

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINKS_S):
            await bus.until(complete)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _names_are_known(names: Sequence[str], among: Sequence[Host]) -> None:
    known = {host.id for host in among}
    named = [one for name in names for one in ([name] if name in known else name.split("+"))]
    if missing := [name for name in named if name not in known]:
        raise UsageError(f"{', '.join(missing)} is not in the cluster file")


def _show(spec: ModelSpec, chosen: Plan, at: Sequence[Host], by: Sequence[Wire], *, as_json: bool) -> int:
    shown = card(Setting(spec, at, by, chosen.context), chosen)
    if as_json:
        print_json({**msgspec.to_builtins(shown), "split": chosen.split, "model": spec})
    else:
        print("\n".join(lines(shown)))
    return DONE


def _instances(path: Path, *, as_json: bool) -> int:
    try:
        problems = instance.decode(_read(path))
    except InputError as error:
        raise UsageError(f"{path}: {error}") from None
    answers = [instance.answer(problem) for problem in problems]
    if as_json:
        print_json({"instances": answers})
    else:
        for found in answers:
            if found.plan is None or found.value is None or found.gap is None:
                print(f"{found.id:8} no plan fits the memory and the links")
                continue
            stages = "  ".join(f"{'+'.join(ids)} {start}–{end - 1}" for ids, start, end in found.plan)
            proof = "proved" if found.gap == 0 else f"within {found.gap:.2%}"
            how = f"{proof}, {found.seconds * 1e3:.0f} ms"
            print(f"{found.id:8} {found.value:.6g} {found.unit} ({how})  {stages}")
    if answers and not any(found.feasible for found in answers):
        raise Failure("no plan: the model fits no split over the devices, by their memory and links")
    return DONE

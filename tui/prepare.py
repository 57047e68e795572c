"""From what was typed to what the core takes: settings, model, recording."""

from __future__ import annotations

import asyncio
import os
import sys
from argparse import Namespace
from pathlib import Path

from msgspec.structs import replace

from core import config
from core.bus import Bus
from core.cluster import Cluster
from core.folders import typed
from core.models import catalog, demo
from core.models.spec import ModelError, ModelSpec, load, read
from core.options import Options
from core.rehearsal.rehearsal import Rehearsal, RehearsalError
from core.request import Sampling
from core.session.record import Recorder
from core.wish import Wish
from tui.cli import Failure, UsageError


def settings(args: Namespace) -> config.Config:
    """The user's settings, with what `args` say of how ranks run. Raises UsageError for a config.toml that
    cannot be used."""
    try:
        kept = config.load()
    except config.ConfigError as error:
        raise UsageError(str(error)) from None
    asked = {name: getattr(args, name, None) for name in Options.__struct_fields__}
    said = {name: value for name, value in asked.items() if value is not None}
    return replace(kept, run=replace(kept.run, **said))


def unattended(args: Namespace) -> config.Config:
    """The user's settings for a command at which nobody can be asked: what says to ask whether to go on after
    a failed run is a no there, which is said. Raises UsageError."""
    kept = settings(args)
    if kept.recover.policy != "ask":
        return kept
    print(
        'exo-tui: [recover] policy = "ask" means "off" here: nobody can be asked, so a run that fails ends',
        file=sys.stderr,
    )
    return replace(kept, recover=replace(kept.recover, policy="off"))


async def model(name: str, cache: Path, wish: Wish) -> ModelSpec:
    """The spec of a MODEL argument as it is to be run; `demo` is made first when it is not there. Raises
    UsageError, also where the split asked for has other layers, and Failure."""
    spec = await _model(name, cache)
    try:
        spec = wish.model(spec)
    except ModelError as error:
        raise UsageError(str(error)) from None
    if wish.split and sum(wish.split) != spec.layers:
        named = "+".join(map(str, wish.split))
        raise UsageError(f"the split {named} is {sum(wish.split)} layers; {spec.name} has {spec.layers}")
    return spec


async def _model(name: str, cache: Path) -> ModelSpec:
    if name == "demo":
        try:
            path = await demo.ensure(cache, lambda line: print(line, file=sys.stderr))
        except ModelError as error:
            raise Failure(str(error)) from None
    else:
        try:
            if os.path.isfile(file := typed(name)):
                return load(file)
            path = catalog.resolve(name)
        except ModelError as error:
            raise UsageError(str(error)) from None
    try:
        return await asyncio.to_thread(read, path.resolve())
    except ModelError as error:
        raise UsageError(str(error)) from None


def recorder(bus: Bus, path: Path | None) -> Recorder | None:
    """A recorder on the bus when a file was named. Raises Failure when it cannot be written."""
    if path is None:
        return None
    try:
        return Recorder(bus, path)
    except FileExistsError:
        raise Failure(f"{path} exists already; recordings are never overwritten") from None
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from None


def rehearsal(devices: int) -> Rehearsal:
    """A rehearsal of so many devices. Raises Failure."""
    try:
        return Rehearsal(devices)
    except (RehearsalError, OSError) as error:
        raise Failure(str(error)) from None


async def start(cluster: Cluster) -> None:
    """Start a cluster; nothing of it is left when it fails. Raises Failure."""
    try:
        await cluster.start()
    except RehearsalError as error:
        await cluster.close()
        raise Failure(str(error)) from None


def wish(args: Namespace, kept: Wish, *, everywhere: bool = False) -> Wish:
    """What is asked of the plan: as typed, else as the user's settings have it. Raises UsageError."""
    if args.on and not args.split:
        raise UsageError("--on names the devices of a --split")
    if args.on and len(args.on) != len(args.split):
        raise UsageError(f"--split has {len(args.split)} parts and --on names {len(args.on)} devices")
    if args.split and args.mode == "tensor":
        raise UsageError("a --split names its tensor groups itself: --on a+b,c")
    asked = {name: getattr(args, name, None) for name in Wish.__struct_fields__}
    said = {name: value for name, value in asked.items() if value is not None}
    return replace(kept, **said, everywhere=everywhere)


def sampling(args: Namespace) -> Sampling:
    """How tokens are chosen, as typed. Raises UsageError."""
    if not 0 < args.top_p <= 1:
        raise UsageError("--top-p is over 0 and at most 1")
    return Sampling(temperature=args.temp, top_p=args.top_p, seed=args.seed, max_tokens=args.max_tokens)

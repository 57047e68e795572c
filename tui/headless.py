"""The commands that print and end."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from typing import Any

import msgspec

from core import events as ev
from core.bus import Bus
from core.circumstances import wires
from core.cluster import Cluster
from core.models.spec import ModelSpec
from core.namesakes import doubt
from core.plan.plan import Plan
from core.routes import broken, lanes, told
from core.session.record import software
from core.state import ClusterState, Lane, Link
from core.text import pace, size
from tui import prepare
from tui.cli import DONE, FAILED, Failure
from tui.lastwords import print_last_words

READY_S = 60.0


def print_json(value: object) -> None:
    """One document on standard output."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    sys.stdout.flush()


async def info(args: Namespace) -> int:
    """Versions and paths."""
    config = prepare.settings(args)
    known = {
        "versions": software(),
        "paths": {
            "config": str(config.folder / "config.toml"),
            "known_hosts": str(config.known_hosts),
            "cache": str(config.cache),
            "data": str(config.data),
        },
    }
    if args.json:
        print_json(known)
    else:
        for group in known.values():
            for name, value in group.items():
                print(f"{name:12} {value}")
    return DONE


async def devices(args: Namespace) -> int:
    """What is announced, and how the configured devices are."""
    bus = Bus()
    cluster = Cluster(bus, prepare.settings(args))
    try:
        await prepare.start(cluster)
        await asyncio.sleep(args.wait)
        if args.bandwidth:
            await cluster.measured()
        state = bus.state
    finally:
        await cluster.close()
    for alert in state.alerts:
        print(f"{alert.subject}: {alert.text}", file=sys.stderr)
    if args.json:
        print_json(
            {
                "peers": [msgspec.to_builtins(peer) for peer in state.peers.values()],
                "devices": [_device(device_id, state) for device_id in state.devices],
                "paths": [_path(state, link, lane) for link, lane in _paths(state)],
                "links": [
                    {"a": w.a, "b": w.b, "kind": w.kind, "rtt_us": w.rtt_us, "rate": w.rate}
                    for w in wires(state)
                ],
            }
        )
        return DONE
    for device in state.devices.values():
        memory = f"{size(device.sample.memory_limit)} usable" if device.sample else device.detail
        print(f"device  {device.name:24} {device.status:10} {device.address:22} {memory}")
    for link, lane in _paths(state):
        assert lane.last is not None
        pair = f"{link.source} → {link.target}"
        why = broken(state, link, lane)
        word = "broken" if why else "in use" if lane.last.address == link.in_use else "spare"
        trip = why or f"{lane.last.p50_us / 1e3:.3g} ms"
        ways = (("there", lane.loaded.there), ("back", lane.loaded.back)) if lane.loaded else ()
        carries = "".join(f", {pace(rate)} {way}" for way, rate in ways if rate is not None)
        print(f"path    {pair:24} {word:10} {told(lane.last):22} {trip}{carries}")
    for peer in state.peers.values():
        status = "announced" if peer.announced else "known"
        where = ", ".join(peer.addresses) or peer.host
        known = " + ".join((*peer.ways, *peer.services))
        print(f"peer    {peer.name:24} {status:10} {where:22} {known}")
        if unsure := doubt(state, peer):
            print(f"        ▲ {unsure}")
    return DONE


def _paths(state: ClusterState) -> list[tuple[Link, Lane]]:
    """Every path that was measured, those in use first of each link."""
    return [(link, lane) for link in state.links.values() for lane in lanes(link).values() if lane.last]


def _path(state: ClusterState, link: Link, lane: Lane) -> dict[str, Any]:
    last, loaded = lane.last, lane.loaded
    assert last is not None
    return {
        "a": link.source,
        "b": link.target,
        "addresses": [last.local, last.address],
        "interfaces": [last.source_interface, last.target_interface],
        "kind": last.kind,
        "in_use": last.address == link.in_use,
        "problem": broken(state, link, lane),
        "rtt_us": last.p50_us,
        "there": loaded.there if loaded else None,
        "back": loaded.back if loaded else None,
    }


def _device(device_id: str, state: ClusterState) -> dict[str, Any]:
    device = state.devices[device_id]
    sample = device.sample
    return {
        "id": device.id,
        "address": device.address,
        "status": device.status,
        "detail": device.detail,
        "chip": device.facts.chip if device.facts else None,
        "cores": device.facts.cores if device.facts else None,
        "memory_limit": sample.memory_limit if sample else None,
        "memory_used": sample.memory_used if sample else None,
    }


async def planned(cluster: Cluster) -> Plan:
    """The plan once every expected device is ready or has failed; says which are left out. Raises Failure."""
    bus, count = cluster.bus, cluster.expected

    def settled(state: ClusterState) -> bool:
        ready = [d for d in state.devices.values() if d.sample]
        failed = [d for d in state.devices.values() if d.status in ("refused", "untrusted", "lost")]
        decided = state.plan is not None or state.plan_failure != "" or not ready
        return len({d.id for d in ready + failed}) >= count and decided

    try:
        async with asyncio.timeout(READY_S):
            await bus.until(settled)
            await cluster.planned()
    except TimeoutError:
        raise Failure(f"no plan after {READY_S:.0f} s: {_missing(bus.state)}") from None
    state = bus.state
    if state.plan is None:
        raise Failure(f"no plan: {'; '.join(filter(None, (state.plan_failure, _missing(state))))}")
    if missing := _missing(state):
        print(f"exo-tui: going on without: {missing}", file=sys.stderr)
    return state.plan


def _missing(state: ClusterState) -> str:
    """The devices that are not ready, and why."""
    if not state.devices:
        return "no device was found; name one as [[device]] in config.toml"
    late = [f"{d.name} is {d.status}: {d.detail}" for d in state.devices.values() if d.status != "ready"]
    keys = [
        f"{q.device} shows the {q.algorithm} key {q.fingerprint}; to trust it, accept it in the console"
        for q in state.questions.values()
    ]
    return "; ".join(late + keys)


async def run(args: Namespace) -> int:
    """Launch, generate once, stop."""
    config = prepare.unattended(args)
    wish = prepare.wish(args, config.wish, everywhere=bool(args.demo_devices))
    sampling = prepare.sampling(args)
    spec = await prepare.model(args.model, config.cache, wish)
    bus = Bus()
    bus.subscribe(print_last_words)
    recording = prepare.recorder(bus, args.record)
    rehearsal = prepare.rehearsal(args.demo_devices) if args.demo_devices else None
    cluster = Cluster(
        bus, config, spec=spec, wish=wish, sampling=sampling, rehearsal=rehearsal, recorder=recording
    )
    try:
        await prepare.start(cluster)
        plan = await planned(cluster)
        if plan.obstacle:
            raise Failure(plan.obstacle)
        if not args.json:
            bus.subscribe(_print_text)
        cluster.ask(args.prompt)
        state = await bus.until(lambda state: all(r.done for r in state.requests.values()))
        if rehearsal is not None or state.run is not None:
            state = await _settled(bus)
    finally:
        await cluster.close()
    return _report(state, spec, as_json=args.json)


async def _settled(bus: Bus) -> ClusterState:
    """The state once every rank has said where its time went, which it does right after the answer."""
    try:
        async with asyncio.timeout(2):
            return await bus.until(
                lambda state: (
                    state.run is None
                    or not state.run.live
                    or all(len(r.ranks) == len(state.run.ranks) for r in state.requests.values())
                )
            )
    except TimeoutError:
        return bus.state


def _print_text(event: ev.AnyEvent) -> None:
    if isinstance(event, ev.TokensStreamed):
        print(event.thought + event.text, end="", flush=True)
    elif isinstance(event, ev.RequestDone) and event.tokens:
        print(flush=True)


def _report(state: ClusterState, spec: ModelSpec, *, as_json: bool) -> int:
    request = next(iter(state.requests.values()), None)
    if request is None or request.done is None:  # not even taken: a device was lost just now
        raise Failure(state.alerts[-1].text if state.alerts else "no answer came")
    done, live = request.done, state.run
    if done.why == "error" or live is None:
        raise Failure(done.detail or "the run failed")
    if not as_json:
        decode = f"{done.decode_tps:.1f} tok/s" if done.decode_tps else "one token"
        print(f"{done.tokens} tokens, {decode}, first after {done.ttft_s or 0:.2f} s", file=sys.stderr)
        return DONE
    ranks = [
        {
            "rank": rank.rank,
            "device": rank.device,
            "start": rank.start,
            "end": rank.end,
            "part": rank.part,
            "parts": rank.parts,
            "weights": rank.loaded.weights if rank.loaded else None,
            "active": rank.beat.active if rank.beat else None,
            "peak": timed.peak if timed else None,
            "compute_s": timed.compute_s if timed else None,
            "wait_s": timed.wait_s if timed else None,
            "steps": timed.steps if timed else None,
        }
        for rank in live.ranks
        for timed in [request.ranks.get(rank.rank)]
    ]
    print_json(
        {
            "model": spec.name,
            "text": request.text,
            "thought": request.thought,
            "tokens": request.ids,
            "finish": done.why,
            "prompt_tokens": done.prompt_tokens,
            "ttft_s": done.ttft_s,
            "prefill_tps": done.prefill_tps,
            "decode_tps": done.decode_tps,
            "backend": live.plan.backend,
            "split": live.plan.split,
            "ranks": ranks,
            "certificate": live.certificate,
            "launch_s": live.ready.seconds if live.ready else None,
        }
    )
    return DONE if request.done and request.done.why in ("stop", "length") else FAILED

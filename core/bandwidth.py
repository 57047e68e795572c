"""How much the paths between devices carry: measured when a person asks, one path and one way at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from core import events as ev
from core.bus import Bus
from core.member import DeviceLost, Member
from core.probe.message import Loaded, Sinking, Sunk
from core.routes import broken, lanes, told
from core.text import clean_line, pace

SECONDS = 1.0
BYTES = 2**31
"""One end sends for so long or so much, whichever is over first."""
SKIP_S = 0.3
"""Of it not counted: TCP is finding out how fast it may go."""
ANSWER_S = 15.0


async def survey(members: Mapping[str, Member], bus: Bus, device: str = "") -> None:
    """Measure every path that works between a device, or any, and the others, and say what came of it."""
    for link in tuple(bus.state.links.values()):
        ends = members.get(link.source), members.get(link.target)
        if device not in ("", link.source, link.target) or ends[0] is None or ends[1] is None:
            continue
        for lane in lanes(link).values():
            if lane.last is None or broken(bus.state, link, lane):
                continue
            found = await measure(ends[0], ends[1], lane.last)
            if found is not None:
                bus.publish(found)
                _say(bus, found, lane.last)


async def measure(source: Member, target: Member, path: ev.LinkMeasured) -> ev.BandwidthMeasured | None:
    """Both ways of a path that a burst has shown to work; None when a device is lost meanwhile."""
    rates: list[float | None] = []
    problems: list[str] = []
    sent = 0
    try:
        for ends, way in (
            ((source, target), (path.local, path.address)),
            ((target, source), (path.address, path.local)),
        ):
            sunk = await _one_way(*ends, *way)
            rates.append(sunk.rate)
            sent += sunk.bytes
            if sunk.error:
                problems.append(f"{ends[0].name} → {ends[1].name}: {clean_line(sunk.error)}")
    except DeviceLost:
        return None
    return ev.BandwidthMeasured(
        t=time.time(),
        source=source.name,
        target=target.name,
        address=path.address,
        there=rates[0],
        back=rates[1],
        sent=sent,
        problem="; ".join(problems),
    )


async def _one_way(sender: Member, receiver: Member, local: str, address: str) -> Sunk:
    """What the receiver counted. Its port is open for this alone. Raises DeviceLost."""
    number, sinking = receiver.expect(Sinking)
    _, sunk = receiver.expect(Sunk, number)
    limits = {"seconds": SECONDS, "bytes": BYTES, "token": receiver.token}
    try:
        async with asyncio.timeout(ANSWER_S):
            receiver.order(op="sink", id=number, address=address, skip=SKIP_S, **limits)
            await asyncio.wait((sinking, sunk), return_when=asyncio.FIRST_COMPLETED)
            if not sinking.done():  # it cannot listen there, and says why
                return await sunk
            order, loaded = sender.expect(Loaded)
            sender.order(
                op="load", id=order, address=address, source=local, port=(await sinking).port, **limits
            )
            done = await loaded
            counted = await sunk
    except TimeoutError:
        return Sunk(number, 0, error="no answer in time")
    finally:
        sinking.cancel()
        sunk.cancel()
    # Why it did not come tells more than that nobody came.
    return Sunk(number, counted.bytes, counted.rate, done.error or counted.error)


def _say(bus: Bus, found: ev.BandwidthMeasured, path: ev.LinkMeasured) -> None:
    ways = [
        f"{pace(rate)} {word}"
        for rate, word in ((found.there, "there"), (found.back, "back"))
        if rate is not None
    ]
    text = f"{told(path)}: {', '.join(ways)}" if ways else f"{told(path)}: {found.problem}"
    bus.publish(
        ev.Alert(
            t=found.t,
            level="info" if ways else "warning",
            subject=f"{found.source} → {found.target}",
            text=text,
        )
    )

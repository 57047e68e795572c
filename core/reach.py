"""Whether devices can call each other: a run needs it both ways, and firewalls know the difference."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

from core import events as ev
from core.bus import Bus
from core.doctor.paths import remedy
from core.events import Check
from core.member import DeviceLost, Member
from core.routes import told
from core.state import link_key
from core.ways import Way


class Reach:
    """Tries each pair both ways until that works, and again when it talks over another path or was connected
    anew."""

    def __init__(self, members: Mapping[str, Member], bus: Bus) -> None:
        self._members = members
        self._bus = bus
        self._works: dict[tuple[str, str], object] = {}
        """By pair, the connections and addresses it worked with."""
        self._found: dict[tuple[str, str], tuple[Check, Check]] = {}
        """By pair, what is to be said at each end."""
        self._ready: set[str] = set()

    async def look(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Try what is new among the pairs of ready devices, and publish what it changes."""
        ready = {name for pair in pairs for name in pair}
        fresh: set[str] = set() if self._ready == ready else set(ready)
        self._ready = ready
        for a, b in pairs:
            here, there = self._members[a].machine, self._members[b].machine
            link = self._bus.state.links.get(link_key(a, b))
            if here is None or there is None or link is None:
                continue
            path = link.last if not link.failure else None
            to = path.address if path else there.seen_from(here)
            back = (path.local if path else "") or here.seen_from(there)
            now = here, there, to, back
            if self._works.get((a, b)) == now:
                continue
            failures = await self._call(a, b, to), await self._call(b, a, back)
            if None in failures:
                continue
            if not any(failures):
                self._works[a, b] = now
            over = told(path) if path else ""
            found = _judged(a, b, failures, over), _judged(b, a, failures[::-1], over)
            if self._found.get((a, b)) != found:
                self._found[a, b] = found
                fresh |= {a, b}
        for name in fresh:
            self._publish(name, ready)

    async def _call(self, caller: str, called: str, address: str) -> str | None:
        """Why it did not work, empty where it did; None when a device is lost meanwhile."""
        try:
            members = self._members
            answer = await members[caller].tried(members[called], Way(address), trips=1, warmup=0)
        except DeviceLost:
            return None
        except ValueError as error:
            return str(error)
        return "" if answer.rtts_us else answer.error or "no answer in time"

    def _publish(self, name: str, ready: Collection[str]) -> None:
        checks = [
            checks[pair.index(name)]
            for pair, checks in self._found.items()
            if name in pair and set(pair) <= set(ready)
        ]
        self._bus.publish(
            ev.PathsChecked(t=time.time(), device=name, checks=tuple(sorted(checks, key=lambda c: c.name)))
        )


def _judged(device: str, other: str, failures: tuple[str | None, ...], over: str) -> Check:
    """What is to be said at `device`, given why it could not call the other, and the other not it."""
    out, back = failures
    name = f"path to {other}"
    if not out and not back:
        return Check(name, True, f"both ways by {over}" if over else "both ways", about=other)
    if out:
        return Check(name, False, f"cannot call it: {out}", remedy(out, other, works_back=not back), other)
    todo = remedy(back or "", device, works_back=True)
    return Check(name, False, f"is not reached from it: {back}", todo, other)

"""A run and its ranks, and what events make of them. Pure."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict, replace

from core import events as ev
from core.options import Options
from core.plan.check import Certificate
from core.plan.plan import Plan
from core.series import Series

LOG_LINES = 200


class Rank(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process."""

    rank: int
    device: str
    start: int
    end: int
    stage: int = 0
    """Place of its stage in the plan."""
    part: int = 0
    parts: int = 1
    """In a tensor group it holds share `part` of `parts` of every layer."""
    phase: ev.Phase = "starting"
    done: int = 0
    total: int = 0
    hello: ev.RankHello | None = None
    loaded: ev.RankLoaded | None = None
    beat: ev.RankBeat | None = None
    exit: ev.RankExited | None = None
    compute: Series = Series()
    """Share of each request's time spent computing rather than waiting for neighbours."""
    log: tuple[str, ...] = ()
    """Its newest lines of stderr."""
    logged: tuple[float, ...] = ()
    """When each of them came."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A launched plan, from its first worker to its last."""

    id: str
    plan: Plan
    started: float
    ranks: tuple[Rank, ...]
    options: Options = Options()
    ready: ev.RunReady | None = None
    stopped: ev.RunStopped | None = None
    blamed: ev.RunBlamed | None = None
    offered: tuple[str, ...] = ()
    """Devices it had to do without and that came back while it was there."""

    @property
    def certificate(self) -> Certificate | None:
        """Proof of what the ranks hold, once all of them are ready."""
        return self.ready.certificate if self.ready else None

    @property
    def live(self) -> bool:
        """Some worker may still be alive."""
        return self.stopped is None


def begun(event: ev.RunStarted) -> Run:
    """A run whose workers are being launched."""
    ranks = tuple(Rank(rank=i, **asdict(post)) for i, post in enumerate(event.plan.posts))
    return Run(id=event.run, plan=event.plan, started=event.t, ranks=ranks, options=event.options)


def after(run: Run | None, event: ev.RunEvent | ev.RankEvent) -> Run | None:
    """The run after one more event, which may be about an earlier one."""
    if run is None or run.id != event.run:
        return run
    match event:
        case ev.RunReady():
            return replace(run, ready=event)
        case ev.RunStopped():
            return replace(run, stopped=event)
        case ev.RunBlamed():
            return replace(run, blamed=event)
        case ev.RunOffered():
            return replace(run, offered=tuple(dict.fromkeys((*run.offered, event.device))))
        case _:
            return (
                _with(run, _rank(run.ranks[event.rank], event)) if 0 <= event.rank < len(run.ranks) else run
            )


def timed(run: Run | None, event: ev.RankTimed) -> Run | None:
    """The run once a rank has told where its time went."""
    spent = event.compute_s + event.wait_s
    if run is None or not 0 <= event.rank < len(run.ranks) or not spent > 0:
        return run
    rank = run.ranks[event.rank]
    return _with(run, replace(rank, compute=rank.compute.push(event.t, event.compute_s / spent)))


def _with(run: Run, rank: Rank) -> Run:
    return replace(run, ranks=(*run.ranks[: rank.rank], rank, *run.ranks[rank.rank + 1 :]))


def _rank(rank: Rank, event: ev.RankEvent) -> Rank:
    match event:
        case ev.RankPhased():
            return replace(rank, phase=event.phase, done=event.done, total=event.total)
        case ev.RankHello():
            return replace(rank, hello=event)
        case ev.RankLoaded():
            return replace(rank, loaded=event)
        case ev.RankBeat():
            return replace(rank, beat=event)
        case ev.RankLogged():
            log, logged = (*rank.log, event.line), (*rank.logged, event.t)
            return replace(rank, log=log[-LOG_LINES:], logged=logged[-LOG_LINES:])
        case ev.RankExited():
            return replace(rank, exit=event, phase="exited")

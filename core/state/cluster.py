"""Everything the screen shows."""

from __future__ import annotations

import msgspec

from core import events as ev
from core.bench.progress import Progress
from core.conversations.manner import Manner
from core.models.spec import ModelSpec
from core.plan.plan import Plan
from core.series import Series
from core.state.device import Device
from core.state.link import Link
from core.state.request import Request
from core.state.run import Run
from core.wiring import Cable


class ClusterState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the screen shows."""

    now: float = 0.0
    """Time of the newest event."""
    peers: dict[str, ev.PeerSeen] = {}
    heard: dict[str, float] = {}
    """When announced peers last answered, by key."""
    silence: tuple[ev.Cause, ...] | None = None
    """Why the network shows nobody, empty when it shows somebody; None before that is known."""
    devices: dict[str, Device] = {}
    links: dict[str, Link] = {}
    """By `source→target`."""
    cables: tuple[Cable, ...] = ()
    handovers: tuple[ev.HandoverMeasured, ...] = ()
    """The last that were measured."""
    questions: dict[str, ev.TrustAsked] = {}
    """Host keys that wait for the user's answer, by device."""
    model: ModelSpec | None = None
    plan: Plan | None = None
    """What a launch would use now."""
    by_hand: bool = False
    """`plan` was chosen by a person and stays; else it is the planner's."""
    auto: Plan | None = None
    """The planner's plan, also while another one is used."""
    plan_failure: str = ""
    """Why the planner has none."""
    run: Run | None = None
    verdicts: tuple[ev.RunBlamed, ...] = ()
    """The last that were passed, also on runs that others have followed."""
    recovery: ev.RecoveryChanged | None = None
    requests: dict[str, Request] = {}
    order: tuple[str, ...] = ()
    """Requests that were waiting when they were put in an order, in that order."""
    api: ev.ApiServed | None = None
    """Where the console serves the API, while it does."""
    conversation: str = ""
    conversations: dict[str, tuple[str, ...]] = {}
    """Requests of each conversation, oldest first."""
    manners: dict[str, Manner] = {}
    """How each of them is held."""
    decode: Series = Series()
    """Tokens a second over the last tick; a gap when nothing is being decoded."""
    prefill: Series = Series()
    counted: int = 0
    """Tokens streamed since the last tick."""
    prefilled: int = 0
    """Prompt tokens prefilled since the last tick."""
    ticked: float = 0.0
    alerts: tuple[ev.Alert, ...] = ()
    faults: tuple[ev.FaultInjected, ...] = ()
    bench: Progress | None = None
    """The suite being measured, or the last one that was."""
    recording: str = ""
    """The file events go to, if they do."""

    @property
    def offered(self) -> tuple[str, ...]:
        """Devices that are back, of which the live run had to do without."""
        if self.run is None or not self.run.live:
            return ()
        known = self.devices
        return tuple(one for one in self.run.offered if one in known and known[one].status == "ready")

    @property
    def recovering(self) -> bool:
        """A run has failed, and another one is to go on with its answers."""
        over = ("done", "declined", "failed")
        return self.recovery is not None and self.recovery.stage not in over

    @property
    def open(self) -> tuple[Request, ...]:
        """Every request without its end, oldest first."""
        return tuple(r for r in self.requests.values() if r.done is None)

    @property
    def queue(self) -> tuple[Request, ...]:
        """The open requests as they are and will be answered: at work, moved by hand, the oldest first."""
        places = {request: place for place, request in enumerate(self.order)}

        def turn(request: Request) -> int:
            return -1 if request.status != "waiting" else places.get(request.id, len(places))

        return tuple(sorted(self.open, key=turn))

    @property
    def active(self) -> Request | None:
        """The conversation's request being worked on, or the oldest that waits."""
        return next((r for r in self.open if r.source == "chat"), None)

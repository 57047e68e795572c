"""What a person can ask of a cluster, and why it may be refused."""

from __future__ import annotations

from typing import Literal, Protocol

from core.bench.suite import Suite
from core.circumstances import obstacle
from core.conversations.manner import Manner
from core.conversations.summary import Summary
from core.events import PeerSeen
from core.joining import Wanted
from core.models.found import Fit, Model
from core.plan.check import unlike
from core.plan.plan import Plan
from core.session.marks import Mark
from core.shelf import Shelf
from core.state import THIS_MACHINE, ClusterState

FaultKind = Literal["kill", "freeze", "thaw", "cut", "mend", "slow", "delay", "hasten"]


class Conversations(Protocol):
    """The conversations, of which the state has the one that is shown and those being answered in."""

    def new(self) -> None:
        """Start an empty conversation."""
        ...

    def open(self, conversation: str) -> None:
        """Show a conversation of earlier. Refused while another console has it open."""
        ...

    def tune(self, manner: Manner) -> None:
        """Hold the current conversation differently from its next prompt on."""
        ...

    def rename(self, conversation: str, title: str) -> None:
        """Call a conversation something; by its first prompt again when `title` is empty."""
        ...

    def delete(self, conversation: str) -> None:
        """Remove a conversation for good."""
        ...

    async def all(self) -> list[Summary]:
        """Every conversation there is, the newest first."""
        ...


class Models(Protocol):
    """The models on this computer, and whether the cluster has room for them."""

    async def all(self) -> list[Model]:
        """What is found in the hub's cache, the usual places and those that were added, usable ones first."""
        ...

    async def fit(self, model: Model) -> Fit | None:
        """Whether the devices as they are have room for it; None while no device is ready."""
        ...

    async def presence(self, path: str) -> dict[str, bool | None]:
        """Whether each ready device has a path; None where it did not say."""
        ...

    async def add(self, place: str) -> str:
        """Look for models in a folder from now on; returns why not, or nothing."""
        ...

    def use(self, path: str) -> None:
        """Plan for another model. Refused while `why_not_choose`."""
        ...


class Intents(Protocol):
    """The live cluster as the console sees it. Nothing here blocks; what comes of it arrives as events."""

    @property
    def faults(self) -> tuple[FaultKind, ...]:
        """Faults `inject` knows: all of them in a rehearsal, none on real devices."""
        ...

    def launch(self) -> None:
        """Launch the chosen plan."""
        ...

    def relaunch(self) -> None:
        """Stop the run, if one is live, and launch the chosen plan: the planner's as it is by then."""
        ...

    def take(self, plan: Plan) -> None:
        """Use a plan chosen by hand, however the cluster changes, until `automatic`."""
        ...

    def automatic(self) -> None:
        """Use the planner's plan again."""
        ...

    @property
    def shelf(self) -> Shelf:
        """Plans kept by name. Its methods read and write files."""
        ...

    def stop(self) -> None:
        """Stop the run and every worker of it."""
        ...

    @property
    def conversations(self) -> Conversations:
        """The conversations there are."""
        ...

    @property
    def library(self) -> Models:
        """The models there are."""
        ...

    def recover(self, accepted: bool) -> None:
        """Answer the question whether to go on after a failed run."""
        ...

    def ask(self, prompt: str, replaces: str = "") -> None:
        """Put a prompt to the model in the current conversation; launches the plan when nothing runs.

        `replaces` names a request of the conversation that goes, with all after it: edited, or asked again.
        """
        ...

    def resume(self, request: str) -> None:
        """Go on with an answer that was cut off, from its last token."""
        ...

    def cancel(self) -> None:
        """End the answer being written; what is there stays."""
        ...

    def withdraw(self, request: str) -> None:
        """End the answer to one request, whoever asked for it."""
        ...

    def trust(self, device: str, accepted: bool) -> None:
        """Answer the question about a host key."""
        ...

    def add(self, peer: PeerSeen, wanted: Wanted) -> None:
        """Take a peer into the cluster, still announced or not: connect to it, which may raise the trust
        question."""
        ...

    def reorder(self, request: str, step: int) -> None:
        """Move a waiting request by so many places in the queue; negative is sooner."""
        ...

    def serve(self) -> None:
        """Serve the API to programs of this computer, or end that."""
        ...

    def record(self) -> None:
        """Record from here on into a new file among the sessions, or end the recording."""
        ...

    def bench(self, suite: Suite) -> None:
        """Measure a suite, recorded; a recording is begun where none is being written."""
        ...

    def pause_bench(self, paused: bool) -> None:
        """Hold back the suite's next trial, or go on."""
        ...

    def abort_bench(self) -> None:
        """End the suite; what was measured stays."""
        ...

    def measure(self, device: str) -> None:
        """Measure what each path between a device and the others carries, for a second each way."""
        ...

    def lap(self) -> None:
        """Measure how fast the plan's ranks hand over to each other, without the model."""
        ...

    def provision(self, device: str) -> None:
        """Make a Python with this console's mlx on a device; whoever calls has a person's yes."""
        ...

    def unprovision(self, device: str) -> None:
        """Remove what `provision` made there."""
        ...

    def inject(self, kind: FaultKind, device: str) -> None:
        """Break something on purpose, in a rehearsal."""
        ...

    async def close(self) -> None:
        """Stop everything that was started; returns when nothing is left alive."""
        ...


class Playback(Protocol):
    """A recording being played."""

    @property
    def paused(self) -> bool: ...

    @property
    def speed(self) -> float: ...

    @property
    def position(self) -> int:
        """Events folded so far."""
        ...

    @property
    def length(self) -> int:
        """Events in the recording."""
        ...

    @property
    def elapsed(self) -> float:
        """Seconds since the recording's start."""
        ...

    @property
    def duration(self) -> float: ...

    @property
    def truncated(self) -> bool:
        """The file was cut short; it plays up to the cut."""
        ...

    async def play(self) -> None:
        """Advance until cancelled."""
        ...

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Moments to jump to, in order."""
        ...

    def toggle(self) -> None:
        """Pause or go on."""
        ...

    def seek(self, elapsed: float) -> None:
        """Move to so many seconds from the start; playing goes on from there."""
        ...

    def jump(self, step: int) -> Mark | None:
        """Move to the next mark, or with -1 to the one before; None where there is none."""
        ...

    def step(self, events: int) -> None:
        """Move by so many events, also backwards; pauses."""
        ...

    def change_speed(self, factor: float) -> None:
        """Multiply the speed, between 1/16 and 64 times."""
        ...


def why_not_launch(state: ClusterState) -> str | None:
    """The reason a launch is not possible now, None when it is."""
    if state.run is not None and state.run.live:
        return "a run is live; stop it first"
    if state.recovering:
        return "the failed run is being recovered from"
    if state.plan is None:
        return state.plan_failure or "there is no plan yet"
    if reason := state.plan.obstacle or obstacle(state, state.plan):
        return reason
    for post in state.plan.posts:
        device = state.devices.get(post.device)
        if device is None or device.status != "ready":
            return f"{post.device} is not ready"
        if device.provisioned is not None and device.provisioned.how == "running":
            return f"the Python of {post.device} is being changed; wait for that"
    return _why_not_together(state)


def _why_not_together(state: ClusterState) -> str | None:
    assert state.plan is not None
    versions: dict[str, tuple[str, str]] = {}
    for name in dict.fromkeys(one for stage in state.plan.stages for one in stage.devices):
        checked = state.devices[name].checked
        if checked is None:
            continue
        if not (checked.mlx and checked.mlx_lm):
            lacking = checked.failed
            return f"{name}: {lacking.name} {lacking.told}; {lacking.remedy}" if lacking else None
        versions[name] = checked.mlx, checked.mlx_lm
    return unlike(versions) or None


def why_not_choose(state: ClusterState) -> str | None:
    """The reason another model cannot be planned for now, None when it can."""
    if state.run is not None and state.run.live:
        return "a run is live; stop it first"
    if state.recovering:
        return "the failed run is being recovered from; stop that first"
    if state.bench is not None and state.bench.live:
        return f"suite {state.bench.suite.name} is being measured"
    return None


def why_not_provision(state: ClusterState, device: str) -> str | None:
    """The reason a device cannot be given a Python of its own now, None when it can."""
    known = state.devices.get(device)
    if known is None:
        return "it is no device of the cluster; enter adds a peer"
    if known.id == THIS_MACHINE:
        return "this computer uses the console's own Python"
    if known.status == "untrusted":
        return "its host key waits for your answer"
    if known.provisioned is not None and known.provisioned.how == "running":
        return "that is under way"
    if state.run is not None and state.run.live:
        return "a run is live; stop it first"
    if state.recovering:
        return "the failed run is being recovered from; stop that first"
    return None


def why_not_measure(state: ClusterState, device: str) -> str | None:
    """The reason the bandwidth of a device's paths cannot be measured now, None when it can."""
    if state.bench is not None and state.bench.live:
        return "a suite is being measured; this would disturb it"
    if state.open:
        return "an answer is being written; this would disturb it"
    links = [link for link in state.links.values() if device in (link.source, link.target)]
    if not any(link.last is not None and not link.failure for link in links):
        return "no path of it to another device is known to work yet"
    return None


def why_not_bench(state: ClusterState) -> str | None:
    """The reason a suite cannot be measured now, None when it can."""
    if state.bench is not None and state.bench.live:
        return f"suite {state.bench.suite.name} is being measured"
    if state.open:
        return "an answer is being written"
    return None if state.auto is not None else state.plan_failure or "there is no plan yet"


def why_not_ask(state: ClusterState) -> str | None:
    """The reason a prompt cannot be taken now, None when it can."""
    if state.active is not None:
        return "the model is still answering"
    if state.bench is not None and state.bench.live:
        return "a suite is being measured; your prompt would disturb it"
    if state.recovering or (state.run is not None and state.run.live):
        return None
    return why_not_launch(state)


def why_not_resume(state: ClusterState, id_: str) -> str | None:
    """The reason an answer cannot be gone on with now, None when it can."""
    request = state.requests.get(id_)
    if request is None or request.done is None or request.done.why not in ("error", "cancel"):
        return "only an answer that was cut off goes on"
    if not request.ids:
        return "nothing of it was kept; r asks again"
    if state.conversations.get(request.conversation, ())[-1:] != (id_,):
        return "the conversation has gone on without it; r asks again"
    if state.model is None or request.model != state.model.name:
        return f"it was begun by {request.model or 'another model'}; r asks again"
    return why_not_ask(state)

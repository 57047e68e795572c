"""Plans, and the ranks that carry one out."""

from __future__ import annotations

from typing import Literal

from core.events.base import Event
from core.models.spec import ModelSpec
from core.options import Options
from core.plan.check import Certificate
from core.plan.plan import Plan

Phase = Literal["starting", "copy", "hello", "environment", "connect", "load", "warmup", "ready", "exited"]
Doing = Literal[
    "starting", "copy", "hello", "environment", "connect", "load", "warmup", "ready",
    "prefill", "decode", "idle",
]  # fmt: skip
"""What a rank is at: a phase of the start, or of the answer being made."""
Fault = Literal["killed", "failed", "refused", "lost", "console", "stopped", "silent", "slow", "link"]
"""`refused`: a rank says that it cannot do its part, however often it is asked; `lost`: the connection to a
device; `console`: those to all, so that this computer is at fault."""
RecoveryStage = Literal["stopping", "asked", "waiting", "launching", "done", "declined", "failed"]
"""`asked`: the user is; `waiting`: for a device to come back; the last three are ends."""


class ModelChosen(Event, frozen=True, kw_only=True):
    """The model to plan for."""

    spec: ModelSpec


class PlanChosen(Event, frozen=True, kw_only=True):
    """The planner's plan: what a launch would use now, unless a person has taken another one."""

    plan: Plan


class PlanFailed(Event, frozen=True, kw_only=True):
    """No plan can be made, and why."""

    reason: str


class PlanTaken(Event, frozen=True, kw_only=True):
    """A person has chosen this plan, and a launch uses it until PlanReleased. Said again when its figures or
    what keeps it from launching have changed."""

    plan: Plan


class PlanReleased(Event, frozen=True, kw_only=True):
    """The planner's plan is the one to use again."""


class RunStarted(Event, frozen=True, kw_only=True):
    """Workers are being launched for a plan."""

    run: str
    plan: Plan
    options: Options = Options()


class RankPhased(Event, frozen=True, kw_only=True):
    """A rank is in a phase, `done` of `total` steps into it; `copy` counts bytes."""

    run: str
    rank: int
    phase: Phase
    done: int = 0
    total: int = 0


class RankHello(Event, frozen=True, kw_only=True):
    """What a rank is made of."""

    run: str
    rank: int
    pid: int
    python: str
    mlx: str
    mlx_lm: str
    compute: str
    """`gpu` or `cpu`."""
    memory_limit: int | None = None
    """Metal's recommended working set, where there is Metal."""
    fast_synch: bool | None = None
    """MLX_METAL_FAST_SYNCH, where it is set."""


class RankLoaded(Event, frozen=True, kw_only=True):
    """A rank holds its layers."""

    run: str
    rank: int
    start: int
    end: int
    weights: int
    digest: str
    """sha256 over the names, shapes and types of the tensors the rank holds."""
    seconds: float
    part: int = 0
    parts: int = 1
    """Share `part` of `parts` of every layer, as its tensor group counts."""
    peak: int = 0
    """Bytes held at most while loading."""
    blas: str = ""
    """What it multiplies matrices with on a CPU, where that is not MLX's own."""
    dequantised: bool = False
    """Whether quantised weights were made float32, because that measured as faster:"""
    packed_s: float | None = None
    float_s: float | None = None


class RankBeat(Event, frozen=True, kw_only=True):
    """A rank is alive: what it is doing, since when, and its MLX memory.

    The rest is of the time since the last one: steps, requests that were served in a step, and
    seconds spent computing, waiting for neighbours, and handing over to them.
    """

    run: str
    rank: int
    state: Literal["busy", "waiting", "idle"]
    age: float
    step: int
    active: int
    peak: int
    cache: int
    steps: int = 0
    rows: float = 0.0
    compute_s: float = 0.0
    wait_s: float = 0.0
    send_s: float = 0.0


class RankLogged(Event, frozen=True, kw_only=True):
    """A line of a rank's stderr."""

    run: str
    rank: int
    line: str


class RankExited(Event, frozen=True, kw_only=True):
    """A rank's process is gone. `code` and `signal` are both None when the connection was lost."""

    run: str
    rank: int
    code: int | None
    signal: str | None = None
    reason: str = ""


class RunReady(Event, frozen=True, kw_only=True):
    """Every rank is ready and every layer is held exactly once."""

    run: str
    certificate: Certificate
    seconds: float


class RunStopped(Event, frozen=True, kw_only=True):
    """No rank of the run is alive any more."""

    run: str
    failed: bool
    reason: str


class RunBlamed(Event, frozen=True, kw_only=True):
    """A run does not get on, and this is why: the culprit and not those who wait for it."""

    run: str
    fault: Fault
    rank: int
    """-1 where it is none of them but this computer's network."""
    device: str
    doing: Doing
    text: str
    link: tuple[str, str] | None = None
    """From device to device, where what is between them is suspected."""
    log: tuple[str, ...] = ()
    """The last lines of its stderr."""


class RunOffered(Event, frozen=True, kw_only=True):
    """A device that the run had to do without is back: another launch could use it."""

    run: str
    device: str


class RecoveryChanged(Event, frozen=True, kw_only=True):
    """How going on after a failed run goes; `text` is a line for a person."""

    stage: RecoveryStage
    text: str


PlanEvent = PlanChosen | PlanFailed | PlanTaken | PlanReleased

RankEvent = RankPhased | RankHello | RankLoaded | RankBeat | RankLogged | RankExited

RunEvent = RunReady | RunStopped | RunBlamed | RunOffered

"""Every fact about the cluster, one frozen struct each: the only vocabulary on the bus and on disk.

`t` is Unix time in seconds by the console's clock. Sizes are bytes, durations seconds unless the
name says `_us`. A field that was not measured is None, never a made-up number.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from core.bench.metrics import Trial
from core.bench.suite import Point, Suite
from core.conversations.manner import Manner
from core.models.spec import ModelSpec
from core.options import Options
from core.plan.check import Certificate
from core.plan.plan import Backend, Plan, Tuning
from core.request import Source
from core.wiring import Cable, LinkKind, Wiring

DeviceStatus = Literal["connecting", "untrusted", "ready", "refused", "lost"]
Phase = Literal["starting", "copy", "hello", "environment", "connect", "load", "warmup", "ready", "exited"]
Level = Literal["info", "warning", "error"]
Pressure = Literal["normal", "warning", "critical"]
Doing = Literal[
    "starting", "copy", "hello", "environment", "connect", "load", "warmup", "ready",
    "prefill", "decode", "idle",
]  # fmt: skip
"""What a rank is at: a phase of the start, or of the answer being made."""
Fault = Literal["killed", "failed", "lost", "console", "stopped", "silent", "slow", "link"]
"""`lost`: the connection to a device; `console`: those to all, so that this computer is at fault."""
RecoveryStage = Literal["stopping", "asked", "waiting", "launching", "done", "declined", "failed"]
"""`asked`: the user is; `waiting`: for a device to come back; the last three are ends."""
DoneReason = Literal["stop", "length", "cancel", "error"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """Something that happened at `t`."""

    t: float


class Tick(Event, frozen=True, kw_only=True):
    """A second has passed. Ages grow and gaps appear even when nothing else is heard."""


Way = Literal["config", "ssh_config", "mdns", "dns-sd"]
"""How a peer is known: the first two are the user's own word, the others the network's."""


class PeerSeen(Event, frozen=True, kw_only=True):
    """A machine that was announced on the network, or named by the user: a hint, not verified."""

    key: str
    """Identity: its SRV host and port, or what the user's files say of them."""
    name: str
    host: str
    addresses: tuple[str, ...]
    port: int
    services: tuple[str, ...]
    txt: dict[str, str] = {}
    ways: tuple[Way, ...] = ("mdns",)
    known: str = ""
    """What the user calls it; ssh is given this name."""
    login: str = ""
    """What ssh_config says of the way there: user, key, jump host."""

    @property
    def announced(self) -> bool:
        """The network speaks of it; else only the user's files do."""
        return bool({"mdns", "dns-sd"} & set(self.ways))


class PeerLost(Event, frozen=True, kw_only=True):
    """The advert was withdrawn or expired."""

    key: str


class PeersHeard(Event, frozen=True, kw_only=True):
    """When announced peers last answered, by key: a machine that was unplugged does not say goodbye."""

    heard: dict[str, float]


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason why nothing is heard, and what to do about it. `command` is for this computer."""

    what: str
    why: str = ""
    todo: str = ""
    command: str = ""


class DiscoveryLooked(Event, frozen=True, kw_only=True):
    """Why the network shows nobody; no causes while somebody is seen."""

    causes: tuple[Cause, ...] = ()


class ExoSeen(Event, frozen=True, kw_only=True):
    """exo answers on a device of the cluster: `node` is its id there, empty when it no longer does."""

    device: str
    node: str


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a rank needs of its device, and what to do where it is not so."""

    name: str
    ok: bool
    told: str
    remedy: str = ""
    about: str = ""
    """The other device, where there is one."""


class DeviceSeen(Event, frozen=True, kw_only=True):
    """A device the user wants in the cluster, and how reaching it goes."""

    device: str
    name: str
    address: str
    status: DeviceStatus
    detail: str = ""
    peer: str = ""
    """Key of the advert it was found by."""
    trouble: Check | None = None
    """The step of getting in that failed."""


class TrustAsked(Event, frozen=True, kw_only=True):
    """A host shows a key nobody has accepted yet."""

    device: str
    host: str
    port: int
    algorithm: str
    fingerprint: str


class TrustAnswered(Event, frozen=True, kw_only=True):
    """The user accepted or refused the key."""

    device: str
    accepted: bool


class DeviceFacts(Event, frozen=True, kw_only=True):
    """What does not change while a device is up."""

    device: str
    system: str
    release: str
    machine: str
    chip: str
    cores: int
    python: str
    budget: bool = False
    """The memory figures are a budget given to the device, not the machine's RAM."""


class DeviceSample(Event, frozen=True, kw_only=True):
    """One look at a device's memory and load."""

    device: str
    memory_total: int
    memory_used: int
    memory_limit: int
    """What ranks may use: on a Mac the GPU working set, elsewhere RAM or the budget."""
    swap_used: int | None = None
    load: float | None = None
    """One-minute load average."""
    pressure: Pressure | None = None
    """What macOS calls the pressure on its memory."""
    gpu: float | None = None
    """Share of the GPU in use, 0 to 1."""
    gpu_memory: int | None = None
    temperature: float | None = None
    """Degrees Celsius: of the GPU, or of the chip."""
    power: float | None = None
    """Watts: of a whole Mac, elsewhere of its GPUs."""
    traffic: dict[str, tuple[float, float]] = {}
    """Bytes a second in and out of each network interface that moved any. IP only: RDMA does not show."""


class DeviceWired(Event, frozen=True, kw_only=True):
    """How a device is wired, said when that is not as before."""

    device: str
    wiring: Wiring


class DeviceKept(Event, frozen=True, kw_only=True):
    """Settings that decide whether a Mac stays up with nobody at it. None: not known."""

    device: str
    sleeps: int | None = None
    """Minutes until it sleeps by itself; 0 is never."""
    restarts: bool | None = None
    """After a power failure."""
    logs_in: bool | None = None
    """By itself after a start."""


class DeviceGaps(Event, frozen=True, kw_only=True):
    """What cannot be known about a device now, and why, by what is missing. Said when that has changed."""

    device: str
    gaps: dict[str, str]


class CablesSeen(Event, frozen=True, kw_only=True):
    """Every Thunderbolt cable there is, said when that has changed."""

    cables: tuple[Cable, ...]


class DeviceChecked(Event, frozen=True, kw_only=True):
    """What was found on a device when it was connected. Versions are empty where there are none."""

    device: str
    checks: tuple[Check, ...]
    mlx: str = ""
    mlx_lm: str = ""
    own: bool = False
    """Its Python is the one that exo-tui made there."""

    @property
    def failed(self) -> Check | None:
        """The first check that is not as it should be."""
        return next((check for check in self.checks if not check.ok), None)


class PathsChecked(Event, frozen=True, kw_only=True):
    """Whether a device and each other one can call the other, tried both ways."""

    device: str
    checks: tuple[Check, ...]


class DeviceProvisioned(Event, frozen=True, kw_only=True):
    """How it goes with the private Python of a device: `told` is the newest line, or what went wrong."""

    device: str
    how: Literal["running", "done", "failed", "removed"]
    told: str = ""


class DeviceTuned(Event, frozen=True, kw_only=True):
    """What runs have taught about a device; plans reckon with it from here."""

    device: str
    tuning: Tuning


class LinkMeasured(Event, frozen=True, kw_only=True):
    """One burst of TCP round trips of 64 bytes from `source` to `target`."""

    source: str
    target: str
    kind: LinkKind
    address: str
    """Where on the target the burst went."""
    local: str = ""
    """Where on the source it came from."""
    source_interface: str = ""
    target_interface: str = ""
    """Those that the burst used, where the devices' lists of interfaces tell."""
    sent: int
    received: int
    min_us: float
    p50_us: float
    p99_us: float


class LinkFailed(Event, frozen=True, kw_only=True):
    """A burst brought no answer."""

    source: str
    target: str
    reason: str
    address: str = ""


class PathChosen(Event, frozen=True, kw_only=True):
    """Of the paths between two devices this is the one that plans reckon with and the next run uses."""

    source: str
    target: str
    address: str
    """Where the path ends on the target."""
    why: str = ""


class BandwidthMeasured(Event, frozen=True, kw_only=True):
    """What one TCP stream carries over a path, counted where it arrives, without its first moments."""

    source: str
    target: str
    address: str
    there: float | None = None
    """Bytes a second from source to target."""
    back: float | None = None
    sent: int = 0
    """Bytes that it took, both ways."""
    problem: str = ""
    """Why a figure is not there."""


class HandoverMeasured(Event, frozen=True, kw_only=True):
    """What handing over takes between the ranks of a plan, without a model: from one to the next around all
    of them (`lap`), or a sum over all (`sum`)."""

    backend: Backend
    devices: tuple[str, ...]
    kind: Literal["lap", "sum"]
    bytes: int
    count: int
    p50_us: float
    """Of one hand-over, or of one sum."""
    worst_us: float


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


class RecoveryChanged(Event, frozen=True, kw_only=True):
    """How going on after a failed run goes; `text` is a line for a person."""

    stage: RecoveryStage
    text: str


class ConversationStarted(Event, frozen=True, kw_only=True):
    """A new, empty conversation, which is the one shown from here."""

    conversation: str
    manner: Manner = Manner()


class ConversationTuned(Event, frozen=True, kw_only=True):
    """The user changed how a conversation is held."""

    conversation: str
    manner: Manner


class ConversationClosed(Event, frozen=True, kw_only=True):
    """A conversation is no longer in memory: it is kept on disk, or was deleted."""

    conversation: str


class RequestStarted(Event, frozen=True, kw_only=True):
    """A prompt was handed to the model, or waits for it to be ready.

    Only the chat's requests are part of a conversation; of the others `prompt` is an excerpt.
    """

    request: str
    conversation: str
    prompt: str
    source: Source = "chat"
    replaces: str = ""
    """A request of the conversation that is gone from it now, with all that came after it."""


class RequestHeld(Event, frozen=True, kw_only=True):
    """The run that answered is gone, or the console with it; what there is of the answer is kept, to go on
    with it in another."""

    request: str


class QueueOrdered(Event, frozen=True, kw_only=True):
    """Requests that wait are to be answered in this order, before any that comes later."""

    requests: tuple[str, ...]


class ApiServed(Event, frozen=True, kw_only=True):
    """Programs of this computer can use the model at `url`; empty: no longer."""

    url: str = ""
    token: bool = False
    """They need the token, which is in no event: events are recorded."""


class PrefillProgressed(Event, frozen=True, kw_only=True):
    """`done` of `total` prompt tokens are in the KV cache."""

    request: str
    done: int
    total: int


class ToolCall(msgspec.Struct, frozen=True):
    """A function the model wants called. `arguments` is a JSON object, `id` is the model's if it gave one."""

    name: str
    arguments: str
    id: str = ""


class Likely(msgspec.Struct, frozen=True, array_like=True):
    """A token that might have come, and the logarithm of its probability."""

    id: int
    logprob: float
    text: str


class TokensStreamed(Event, frozen=True, kw_only=True):
    """New tokens of an answer, and the text they complete (may be empty inside a character)."""

    request: str
    ids: tuple[int, ...]
    text: str
    raw: str = ""
    """As the model wrote it, where `text` is not the same. For programs: no screen may show it."""
    thought: str = ""
    """Text, too, but of the model's reasoning, where the request wants it told apart."""
    calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Likely, ...] | None = None
    """Of the token, then of the likeliest ones, where the request wants them."""


class RankTimed(Event, frozen=True, kw_only=True):
    """Where one rank's time went during a request. `merged` of its steps served other requests as well.

    `wait_s` is for neighbours; `send_s` of it was spent handing over to one, until the network took it all.
    """

    request: str
    rank: int
    compute_s: float
    wait_s: float
    steps: int
    peak: int
    merged: int = 0
    send_s: float = 0.0


class RequestDone(Event, frozen=True, kw_only=True):
    """An answer is complete, was stopped, or failed.

    TTFT runs from the request's arrival at rank 0 to its first sampled token; `prefill_tps` counts
    only tokens not taken from the cache; `decode_tps` counts tokens after the first.
    """

    request: str
    why: DoneReason
    detail: str = ""
    prompt_tokens: int = 0
    reused_tokens: int = 0
    tokens: int = 0
    ttft_s: float | None = None
    prefill_tps: float | None = None
    decode_tps: float | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt of a conversation and what came of it."""

    request: str
    prompt: str
    started: float
    text: str = ""
    thought: str = ""
    ids: tuple[int, ...] = ()
    """Tokens of an answer without an end, from which it can be continued; of ended ones they are not kept."""
    model: str = ""
    """Name of the model whose tokens they are."""
    done: RequestDone | None = None


class ConversationOpened(Event, frozen=True, kw_only=True):
    """A conversation of earlier is the one shown from here."""

    conversation: str
    manner: Manner = Manner()
    exchanges: tuple[Exchange, ...] = ()
    """What was said in it, where it was not in memory."""


class Alert(Event, frozen=True, kw_only=True):
    """Something the user should know, named by who it is about."""

    level: Level
    subject: str
    text: str


class FaultInjected(Event, frozen=True, kw_only=True):
    """The rehearsal broke something on purpose."""

    kind: str
    target: str


class BenchStarted(Event, frozen=True, kw_only=True):
    """A suite is being measured from here to `BenchDone`."""

    suite: Suite
    sha256: str
    """Of the suite, over all that is measured."""
    model_sha256: str = ""
    """Fingerprint of the model's files: see core.models.fingerprint."""


class TrialStarted(Event, frozen=True, kw_only=True):
    """Requests from here to `TrialDone` are one repeat of a point; `plan` is a name of the suite's."""

    plan: str
    launch: int
    point: Point
    repeat: int
    warmup: bool = False


class TrialDone(Event, frozen=True, kw_only=True):
    """The trial is complete, or failed with an `error`."""

    trial: Trial | None = None
    """As measured live; a recording's reader makes it again from the tokens' own events."""
    error: str = ""


class BenchPaused(Event, frozen=True, kw_only=True):
    """The next trial waits, or does so no longer."""

    paused: bool


class BenchDone(Event, frozen=True, kw_only=True):
    """No more is measured: the suite is through, or was ended, and what is there stays."""

    why: Literal["done", "abort", "error"]
    detail: str = ""


class RecordingChanged(Event, frozen=True, kw_only=True):
    """Events go to a file from here, or no longer, where `path` is empty."""

    path: str


AnyEvent = (
    Tick
    | PeerSeen
    | PeerLost
    | PeersHeard
    | DiscoveryLooked
    | ExoSeen
    | DeviceSeen
    | TrustAsked
    | TrustAnswered
    | DeviceFacts
    | DeviceSample
    | DeviceWired
    | DeviceKept
    | DeviceGaps
    | CablesSeen
    | DeviceChecked
    | DeviceProvisioned
    | LinkMeasured
    | LinkFailed
    | PathChosen
    | BandwidthMeasured
    | PathsChecked
    | HandoverMeasured
    | ModelChosen
    | DeviceTuned
    | PlanChosen
    | PlanFailed
    | PlanTaken
    | PlanReleased
    | RunStarted
    | RankPhased
    | RankHello
    | RankLoaded
    | RankBeat
    | RankLogged
    | RankExited
    | RunReady
    | RunStopped
    | RunBlamed
    | RecoveryChanged
    | ConversationStarted
    | ConversationOpened
    | ConversationTuned
    | ConversationClosed
    | RequestStarted
    | RequestHeld
    | QueueOrdered
    | ApiServed
    | PrefillProgressed
    | TokensStreamed
    | RankTimed
    | RequestDone
    | Alert
    | FaultInjected
    | BenchStarted
    | TrialStarted
    | TrialDone
    | BenchPaused
    | BenchDone
    | RecordingChanged
)

"""Every fact about the cluster, one frozen struct each: the only vocabulary on the bus and on disk.

`t` is Unix time in seconds by the console's clock. Sizes are bytes, durations seconds unless the
name says `_us`. A field that was not measured is None, never a made-up number.
"""

from __future__ import annotations

from core.events.answers import (
    ApiServed,
    ConversationClosed,
    ConversationEvent,
    ConversationOpened,
    ConversationStarted,
    ConversationTuned,
    DoneReason,
    Exchange,
    Likely,
    PrefillProgressed,
    QueueOrdered,
    RankTimed,
    RequestDone,
    RequestEvent,
    RequestHeld,
    RequestStarted,
    TokensStreamed,
    ToolCall,
)
from core.events.base import (
    Alert,
    Event,
    FaultInjected,
    Level,
    RecordingChanged,
    Tick,
)
from core.events.benches import (
    BenchDone,
    BenchEvent,
    BenchPaused,
    BenchStarted,
    TrialDone,
    TrialStarted,
)
from core.events.devices import (
    Check,
    DeviceChecked,
    DeviceEvent,
    DeviceFacts,
    DeviceGaps,
    DeviceKept,
    DeviceLimited,
    DeviceProvisioned,
    DeviceSample,
    DeviceSeen,
    DeviceStatus,
    DeviceTuned,
    DeviceWired,
    ExoSeen,
    PathsChecked,
    Pressure,
    TrustAnswered,
    TrustAsked,
)
from core.events.links import (
    BandwidthMeasured,
    CablesSeen,
    HandoverMeasured,
    LinkEvent,
    LinkFailed,
    LinkMeasured,
    PathChosen,
)
from core.events.peers import (
    Cause,
    DiscoveryLooked,
    PeerEvent,
    PeerLost,
    PeerSeen,
    PeersHeard,
    Way,
)
from core.events.runs import (
    Doing,
    Fault,
    ModelChosen,
    Phase,
    PlanChosen,
    PlanEvent,
    PlanFailed,
    PlanReleased,
    PlanTaken,
    RankBeat,
    RankEvent,
    RankExited,
    RankHello,
    RankLoaded,
    RankLogged,
    RankPhased,
    RecoveryChanged,
    RecoveryStage,
    RunBlamed,
    RunEvent,
    RunOffered,
    RunReady,
    RunStarted,
    RunStopped,
)

AnyEvent = (
    Tick
    | PeerEvent
    | DeviceEvent
    | TrustAsked
    | TrustAnswered
    | LinkEvent
    | CablesSeen
    | HandoverMeasured
    | ModelChosen
    | PlanEvent
    | RunStarted
    | RankEvent
    | RunEvent
    | RecoveryChanged
    | ConversationEvent
    | RequestStarted
    | RequestEvent
    | QueueOrdered
    | ApiServed
    | Alert
    | FaultInjected
    | BenchEvent
    | RecordingChanged
)

__all__ = [
    "Alert",
    "AnyEvent",
    "ApiServed",
    "BandwidthMeasured",
    "BenchDone",
    "BenchEvent",
    "BenchPaused",
    "BenchStarted",
    "CablesSeen",
    "Cause",
    "Check",
    "ConversationClosed",
    "ConversationEvent",
    "ConversationOpened",
    "ConversationStarted",
    "ConversationTuned",
    "DeviceChecked",
    "DeviceEvent",
    "DeviceFacts",
    "DeviceGaps",
    "DeviceKept",
    "DeviceLimited",
    "DeviceProvisioned",
    "DeviceSample",
    "DeviceSeen",
    "DeviceStatus",
    "DeviceTuned",
    "DeviceWired",
    "DiscoveryLooked",
    "Doing",
    "DoneReason",
    "Event",
    "Exchange",
    "ExoSeen",
    "Fault",
    "FaultInjected",
    "HandoverMeasured",
    "Level",
    "Likely",
    "LinkEvent",
    "LinkFailed",
    "LinkMeasured",
    "ModelChosen",
    "PathChosen",
    "PathsChecked",
    "PeerEvent",
    "PeerLost",
    "PeerSeen",
    "PeersHeard",
    "Phase",
    "PlanChosen",
    "PlanEvent",
    "PlanFailed",
    "PlanReleased",
    "PlanTaken",
    "PrefillProgressed",
    "Pressure",
    "QueueOrdered",
    "RankBeat",
    "RankEvent",
    "RankExited",
    "RankHello",
    "RankLoaded",
    "RankLogged",
    "RankPhased",
    "RankTimed",
    "RecordingChanged",
    "RecoveryChanged",
    "RecoveryStage",
    "RequestDone",
    "RequestEvent",
    "RequestHeld",
    "RequestStarted",
    "RunBlamed",
    "RunEvent",
    "RunOffered",
    "RunReady",
    "RunStarted",
    "RunStopped",
    "Tick",
    "TokensStreamed",
    "ToolCall",
    "TrialDone",
    "TrialStarted",
    "TrustAnswered",
    "TrustAsked",
    "Way",
]

"""The devices of the cluster: how reaching them goes, what they are, how they are."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.events.base import Event
from core.plan.plan import Tuning
from core.wiring import Wiring

DeviceStatus = Literal["connecting", "untrusted", "ready", "refused", "lost"]
Pressure = Literal["normal", "warning", "critical"]


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
    assumed: bool = False
    """That limit is macOS's default as estimated, which a rank can tell better."""
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


class DeviceLimited(Event, frozen=True, kw_only=True):
    """What Metal recommends as a device's working set, as a rank said: its limit from here, where that was
    assumed."""

    device: str
    working_set: int


class ExoSeen(Event, frozen=True, kw_only=True):
    """exo answers on a device of the cluster: `node` is its id there, empty when it no longer does."""

    device: str
    node: str


DeviceEvent = (
    DeviceSeen
    | DeviceFacts
    | DeviceSample
    | DeviceWired
    | DeviceKept
    | DeviceGaps
    | DeviceChecked
    | PathsChecked
    | DeviceProvisioned
    | DeviceTuned
    | DeviceLimited
    | ExoSeen
)

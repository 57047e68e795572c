"""A device of the cluster, and what events make of it. Pure."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from core import events as ev
from core.plan.plan import Tuning
from core.series import Series
from core.wiring import Wiring

THIS_MACHINE = "this-machine"
"""What this computer is called as a device of the cluster."""


class Device(Struct, frozen=True, kw_only=True):
    """A device of the cluster as last heard of."""

    id: str
    name: str
    address: str
    status: ev.DeviceStatus
    detail: str = ""
    peer: str = ""
    trouble: ev.Check | None = None
    """The step of getting in that failed last."""
    facts: ev.DeviceFacts | None = None
    sample: ev.DeviceSample | None = None
    memory: Series = Series()
    """Memory in use, bytes."""
    tuning: Tuning | None = None
    working_set: int | None = None
    """What Metal recommends, as a rank said."""
    wiring: Wiring | None = None
    kept: ev.DeviceKept | None = None
    gaps: dict[str, str] = {}
    """What cannot be known about it, and why."""
    checked: ev.DeviceChecked | None = None
    reached: tuple[ev.Check, ...] = ()
    """The ways to and from each other device."""
    provisioned: ev.DeviceProvisioned | None = None
    exo: str = ""
    """Id of the exo node that answers there, if one does."""


def after(devices: dict[str, Device], event: ev.DeviceEvent) -> dict[str, Device]:
    """The devices after one more event; one about a device that nobody has seen is ignored."""
    device = devices.get(event.device)
    match event:
        case ev.DeviceSeen():
            if device is None:
                device = Device(id=event.device, name=event.name, address=event.address, status=event.status)
            device = replace(
                device,
                name=event.name,
                address=event.address,
                status=event.status,
                detail=event.detail,
                peer=event.peer,
                trouble=device.trouble if event.status == "connecting" else event.trouble,
            )
            if event.status != "ready" and device.memory.last is not None:
                device = replace(device, memory=device.memory.push(event.t, None))
        case _ if device is None:
            return devices
        case ev.DeviceFacts():
            device = replace(device, facts=event)
        case ev.DeviceChecked():
            device = replace(device, checked=event)
        case ev.PathsChecked():
            device = replace(device, reached=event.checks)
        case ev.DeviceProvisioned():
            device = replace(device, provisioned=event)
        case ev.DeviceTuned():
            device = replace(device, tuning=event.tuning)
        case ev.DeviceLimited():
            device = replace(device, working_set=event.working_set)
            if device.sample is not None:
                device = replace(device, sample=_limited(device.sample, event.working_set))
        case ev.DeviceWired():
            device = replace(device, wiring=event.wiring)
        case ev.DeviceKept():
            device = replace(device, kept=event)
        case ev.DeviceGaps():
            device = replace(device, gaps=event.gaps)
        case ev.ExoSeen():
            device = replace(device, exo=event.node)
        case ev.DeviceSample():
            sample = _limited(event, device.working_set)
            device = replace(device, sample=sample, memory=device.memory.push(event.t, event.memory_used))
    return {**devices, device.id: device}


def _limited(sample: ev.DeviceSample, working_set: int | None) -> ev.DeviceSample:
    """The sample with the limit that Metal recommends, where its own is assumed."""
    if not sample.assumed or not working_set:
        return sample
    return replace(sample, memory_limit=min(working_set, sample.memory_total))

"""Clusters on paper: the file that `exo-tui plan --cluster` reads, and `exo-tui devices --json` prints.

    {
      "devices": [{"id": "studio", "chip": "Apple M3 Ultra", "cores": 32,
                   "memory_limit": 412316860416, "memory_used": 0}, …],
      "links":   [{"a": "studio", "b": "mini", "kind": "thunderbolt", "rtt_us": 700, "rate": 2e9}, …]
    }

`memory_limit` is what the GPU may use, in bytes; a device without it is not ready and is left out.
`kind` is one of rdma, thunderbolt, ethernet, wifi, vpn, loopback, unknown; a measured round trip
`rtt_us` in microseconds and a measured `rate` in bytes/s replace what is assumed of that kind. A pair
without a link gets what is assumed of an unknown one. Everything else in the file is ignored.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from core.plan.chips import MEDIA
from core.plan.plan import Host, Wire
from core.plan.problem import InputError
from core.text import MALFORMED, clean_line

_Size = Annotated[int, msgspec.Meta(ge=0, le=2**60)]


class _Device(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    memory_limit: _Size | None = None
    memory_used: _Size | None = None
    chip: str | None = None
    cores: _Size | None = None


class _Link(msgspec.Struct):
    a: str
    b: str
    kind: str = "unknown"
    rtt_us: Annotated[float, msgspec.Meta(ge=0)] | None = None
    rate: Annotated[float, msgspec.Meta(gt=0)] | None = None


class _File(msgspec.Struct):
    devices: tuple[_Device, ...]
    links: tuple[_Link, ...] = ()


def decode(document: bytes) -> tuple[list[Host], list[Wire]]:
    """The hosts that are ready and the wires between them. Raises InputError, in one line."""
    try:
        file = msgspec.json.decode(document, type=_File)
    except MALFORMED as error:
        raise InputError(clean_line(str(error))) from None
    if not file.devices:
        raise InputError("there is no device in it")
    names = [clean_line(device.id) for device in file.devices]
    if len(set(names)) < len(names):
        raise InputError("two devices have the same id")
    for link in file.links:
        for end in (link.a, link.b):
            if clean_line(end) not in names:
                raise InputError(f"a link names {clean_line(end)}, which is no device of the file")
        if link.a == link.b:
            raise InputError(f"{clean_line(link.a)} is linked to itself")
        if link.kind not in MEDIA:
            raise InputError(f"a link is of kind {clean_line(link.kind)!r}; known are {', '.join(MEDIA)}")
    hosts = [
        Host(
            name,
            device.memory_limit,
            device.memory_used or 0,
            chip=clean_line(device.chip or ""),
            cores=device.cores or 0,
        )
        for name, device in zip(names, file.devices, strict=True)
        if device.memory_limit is not None
    ]
    wires = [
        Wire(a=clean_line(link.a), b=clean_line(link.b), kind=link.kind, rtt_us=link.rtt_us, rate=link.rate)
        for link in file.links
    ]
    return hosts, wires

"""What a device must have before it can hold a rank, from the first packet to the last byte of memory."""

from __future__ import annotations

from core.events import Check
from core.state import Device
from core.text import size

ENTRY = ("reach", "host key", "login")
"""The steps of getting in, in their order."""

LEAST = 2**29
"""Bytes of memory that should be free for a stage of even a small model."""


def checks(device: Device) -> tuple[Check, ...]:
    """Every check that was made, in that order; the last one is where it stopped, if it did."""
    trouble = device.trouble
    if trouble is not None:
        before = ENTRY[: ENTRY.index(trouble.name)] if trouble.name in ENTRY else ()
        return (*(Check(name, True, "") for name in before), trouble)
    made = device.checked.checks if device.checked is not None else ()
    sample = device.sample
    if sample is None or device.status != "ready":
        return made
    free = max(0, sample.memory_limit - sample.memory_used)
    told = f"{size(free)} of {size(sample.memory_limit)} free"
    remedy = "" if free >= LEAST else "quit what is not needed there"
    return (*made, Check("memory", free >= LEAST, told, remedy))

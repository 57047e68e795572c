"""What a Mac agent's raw sources mean. Written from Apple's documented output, untested on hardware."""

from __future__ import annotations

import re

from core.events import DeviceFacts, DeviceSample, Pressure
from core.probe.fields import fields, integer
from core.probe.message import Facts, Sample
from core.text import clean_line

GIB = 2**30
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

PARTS = {
    "Pages active": 1,
    "Pages inactive": 1,
    "Pages wired down": 1,
    "Pages speculative": 1,
    "Pages occupied by compressor": 1,
    "Pages purgeable": -1,
    "File-backed pages": -1,
}
"""Activity Monitor's "memory used", as macmon and mactop compute it (not psutil's, which leaves out
the compressor, nor top's, which counts the file cache)."""

PRESSURE: dict[str, Pressure] = {"1": "normal", "2": "warning", "4": "critical"}
"""Levels of kern.memorystatus_vm_pressure_level."""


def facts(message: Facts, device: str, t: float) -> DeviceFacts:
    """`release` is the macOS version, which people know, not the kernel's."""
    keys = fields(message.sources.get("sysctl", ""))
    return DeviceFacts(
        t=t,
        device=device,
        system=clean_line(message.system),
        release=clean_line(keys.get("kern.osproductversion") or message.release),
        machine=clean_line(message.machine),
        chip=clean_line(keys.get("machdep.cpu.brand_string") or keys.get("hw.model") or message.machine),
        cores=integer(keys.get("hw.ncpu"), "hw.ncpu"),
        python=clean_line(message.python),
        budget="budget" in message.sources,
    )


def sample(message: Sample, device: str, t: float) -> DeviceSample:
    """Memory used by Activity Monitor's formula, against the GPU working-set limit.

    A rehearsal budget replaces all three figures. Raises ValueError where a needed figure is missing.
    """
    keys = fields(message.sources.get("sysctl", ""))
    total = integer(keys.get("hw.memsize"), "hw.memsize")
    assumed = False
    if "budget" in message.sources:
        total = limit = integer(message.sources["budget"], "the budget")
        used = integer(message.sources.get("tree"), "the process tree's memory")
    else:
        wired = integer(keys.get("iogpu.wired_limit_mb", "0"), "iogpu.wired_limit_mb")
        limit, assumed = working_set(total, wired), wired <= 0
        used = min(total, memory_used(message.sources.get("vm_stat", "")))
    # A comma is what sysctl writes in some locales.
    swap = re.search(r"used = (\d{1,9})(?:[.,](\d{1,6}))?([KMGT])", keys.get("vm.swapusage", ""))
    load = re.match(r"\{ (\d{1,6})[.,](\d{1,4}) ", keys.get("vm.loadavg", ""))
    return DeviceSample(
        t=t,
        device=device,
        memory_total=total,
        memory_used=used,
        memory_limit=limit,
        assumed=assumed,
        swap_used=int(float(f"{swap[1]}.{swap[2] or 0}") * UNITS[swap[3]]) if swap else None,
        load=float(f"{load[1]}.{load[2]}") if load else None,
        pressure=PRESSURE.get(keys.get("kern.memorystatus_vm_pressure_level", "")),
    )


def memory_used(vm_stat: str) -> int:
    """Bytes in use; see PARTS. Raises ValueError where a part or the page size is missing."""
    size = re.search(r"page size of (\d{1,9}) bytes", vm_stat)
    if size is None:
        raise ValueError("vm_stat has no page size")
    pages = fields(vm_stat)
    count = sum(sign * integer(pages.get(name, "").removesuffix("."), name) for name, sign in PARTS.items())
    return max(0, count) * int(size[1])


def working_set(memory: int, wired_limit_mb: int) -> int:
    """Bytes the GPU may hold: the set wired limit, else macOS's default estimated from the RAM.

    Apple does not document the default; Metal's `recommendedMaxWorkingSetSize` was reported as 66 to
    84 % of RAM (11.84 GB of 16, 107.5 GiB of 128). Two thirds up to 36 GiB and three quarters above
    are its low side; a rank's own hello brings the true figure.
    """
    if wired_limit_mb > 0:
        return min(memory, wired_limit_mb * 2**20)
    return memory * 2 // 3 if memory <= 36 * GIB else memory * 3 // 4

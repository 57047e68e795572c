"""What a Linux agent's raw sources mean."""

from __future__ import annotations

import re

from core.events import DeviceFacts, DeviceSample
from core.probe.fields import fields, integer
from core.probe.message import Facts, Sample
from core.text import clean_line


def facts(message: Facts, device: str, t: float) -> DeviceFacts:
    """The chip is the CPU's model name; on ARM, which has none there, the board or product name."""
    cpu = fields(message.sources.get("cpuinfo", ""))
    chip = cpu.get("model name") or cpu.get("Model") or message.sources.get("product", "") or message.machine
    return DeviceFacts(
        t=t,
        device=device,
        system=clean_line(message.system),
        release=clean_line(message.release),
        machine=clean_line(message.machine),
        chip=clean_line(chip),
        cores=integer(message.sources.get("nproc"), "the number of cores"),
        python=clean_line(message.python),
        budget="budget" in message.sources,
    )


def sample(message: Sample, device: str, t: float) -> DeviceSample:
    """Memory in use against what the process may use at most.

    Of the machine and its cgroups that with the least room: MemTotal − MemAvailable of MemTotal; usage less
    inactive page cache (reclaimed before anything is killed) of a cgroup's limit below MemTotal. In a
    rehearsal neither, but anonymous memory of the process tree of the budget.
    Raises ValueError where MemTotal, MemAvailable or a number is missing.
    """
    memory = fields(message.sources.get("meminfo", ""))
    ram = _kib(memory, "MemTotal")
    places = [(ram, max(0, ram - _kib(memory, "MemAvailable")))]
    places += [one for one in _cgroups(message.sources.get("cgroup", "")) if one[0] < ram]
    total, used = min(places, key=lambda place: place[0] - place[1])
    if "budget" in message.sources:
        total = integer(message.sources["budget"], "the budget")
        used = integer(message.sources.get("tree"), "the process tree's memory")
    swap = None
    if "SwapTotal" in memory and "SwapFree" in memory:
        swap = max(0, _kib(memory, "SwapTotal") - _kib(memory, "SwapFree"))
    load = re.match(r"\d{1,6}\.\d{1,4}(?=\s)", message.sources.get("loadavg", ""))
    return DeviceSample(
        t=t,
        device=device,
        memory_total=total,
        memory_used=used,
        memory_limit=total,
        swap_used=swap,
        load=float(load[0]) if load else None,
    )


def _kib(memory: dict[str, str], name: str) -> int:
    value = memory.get(name)
    return integer(value and value.removesuffix(" kB"), name) * 1024


def _cgroups(text: str) -> list[tuple[int, int]]:
    """(limit, usage without inactive file pages) of each cgroup that has a limit."""
    found: list[tuple[int, int]] = []
    for line in text.splitlines():
        match line.split():
            case [limit, usage, idle] if limit != "max":
                # cgroup v1 writes "no limit" as a number near 2^63.
                if len(limit) < 19:
                    working = integer(usage, "cgroup usage") - integer(idle, "cgroup page cache")
                    found.append((integer(limit, "cgroup limit"), max(0, working)))
            case _:
                pass
    return found

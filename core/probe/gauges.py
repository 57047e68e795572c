"""Use and memory of the GPU, temperature and power, from the tools that happen to be there."""

from __future__ import annotations

import re

import msgspec

from core.probe.fields import MOST, array, document, figure, integer, number, table

MIB = 2**20
_NAME = r'"([^"]{1,80})"=(\d{1,20})(?=[,}])'
LIKELY_C = (1.0, 150.0)
"""Old macmon writes 0 for a temperature it does not know."""


class Gauges(msgspec.Struct, frozen=True, kw_only=True):
    """What one tool tells. None is what it does not tell."""

    gpu: float | None = None
    """Share of the GPU in use, 0 to 1."""
    gpu_memory: int | None = None
    temperature: float | None = None
    """Of the GPU, or of the chip where only that is known; degrees Celsius."""
    power: float | None = None
    """Watts of the whole machine on a Mac, of the cards elsewhere."""


NOTHING = Gauges()


def merged(first: Gauges, second: Gauges) -> Gauges:
    """The first's figures, and the second's where it has none."""
    return Gauges(
        gpu=second.gpu if first.gpu is None else first.gpu,
        gpu_memory=second.gpu_memory if first.gpu_memory is None else first.gpu_memory,
        temperature=second.temperature if first.temperature is None else first.temperature,
        power=second.power if first.power is None else first.power,
    )


def ioreg(text: str) -> Gauges:
    """`ioreg -r -d 1 -w 0 -c IOAccelerator`; of several accelerators the busiest, and the memory of all.

    Raises ValueError where there is no accelerator.
    """
    use: list[float] = []
    held: list[int] = []
    for line in text.splitlines()[: 16 * MOST]:
        if '"PerformanceStatistics"' in line:
            keys = dict(re.findall(_NAME, line))
            if "Device Utilization %" in keys:
                use.append(min(1.0, int(keys["Device Utilization %"]) / 100))
            if "In use system memory" in keys:
                held.append(integer(keys["In use system memory"], "the GPU's memory"))
    if not use and not held:
        raise ValueError("ioreg names no accelerator")
    return Gauges(gpu=max(use, default=None), gpu_memory=sum(held) if held else None)


def macmon(line: str) -> Gauges:
    """One line of `macmon pipe`, of version 0.8 or before. Ratios are 0 to 1. Raises ValueError."""
    keys = table(document(line))
    if not keys:
        raise ValueError("macmon printed no object")
    gpu = figure(keys.get("gpu_active_ratio"))
    usage = array(keys.get("gpu_usage"))  # before 0.7: MHz and ratio
    if gpu is None and len(usage) == 2:
        gpu = figure(usage[1])
    heat = table(keys.get("temp"))
    return Gauges(
        gpu=min(1.0, gpu) if gpu is not None else None,
        temperature=_likely(heat.get("gpu_temp_avg")) or _likely(heat.get("cpu_temp_avg")),
        power=_positive(figure(keys.get("sys_power"))) or _positive(figure(keys.get("all_power"))),
    )


def _likely(value: object) -> float | None:
    degrees = figure(value)
    return degrees if degrees is not None and LIKELY_C[0] <= degrees <= LIKELY_C[1] else None


def _positive(watts: float | None) -> float | None:
    return watts if watts is not None and 0 < watts < 100_000 else None


NVIDIA = ("index", "memory.used", "utilization.gpu", "temperature.gpu", "power.draw")
"""What the agent asks nvidia-smi for, in this order."""


def nvidia(text: str) -> Gauges:
    """Rows of `nvidia-smi --format=csv,noheader,nounits`: memory and power summed, else the highest.

    Chips that share the computer's memory say `[N/A]` of theirs. Raises ValueError where no row is found:
    nvidia-smi prints its failures on standard output.
    """
    cards: dict[str, list[float | None]] = {}
    for line in text.splitlines()[-MOST:]:
        row = [cell.strip() for cell in line.split(",")]
        if len(row) == len(NVIDIA) and row[0].isascii() and row[0].isdigit():
            cards[row[0][:3]] = [number(cell) for cell in row[1:]]
    if not cards:
        raise ValueError("nvidia-smi printed no card")
    memory, use, heat, power = (
        [value for value in column if value is not None and value >= 0]
        for column in zip(*cards.values(), strict=True)
    )
    return Gauges(
        gpu=min(1.0, max(use) / 100) if use else None,
        gpu_memory=int(sum(memory) * MIB) if memory else None,
        temperature=max(heat, default=None),
        power=_positive(sum(power)),
    )

"""From the agent's messages to events, by the system they come from.

Each function raises ValueError, with one clean line, for a system or a figure it cannot read.
"""

from __future__ import annotations

from core.events import DeviceFacts, DeviceSample
from core.probe import linux, macos
from core.probe.message import Facts, Sample
from core.text import clean_line

_FACTS = {"Linux": linux.facts, "Darwin": macos.facts}
_SAMPLE = {"Linux": linux.sample, "Darwin": macos.sample}


def facts(message: Facts, device: str, t: float) -> DeviceFacts:
    """What does not change about `device`."""
    return _FACTS[_known(message.system)](message, device, t)


def sample(message: Sample, device: str, t: float) -> DeviceSample:
    """`device`'s memory and load at `t`."""
    return _SAMPLE[_known(message.system)](message, device, t)


def _known(system: str) -> str:
    if system not in _FACTS:
        raise ValueError(f"{clean_line(system) or 'an unnamed system'} is not supported: macOS and Linux are")
    return system

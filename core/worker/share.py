# pyright: basic
"""How much of a rank's time prompts may take from those who are being answered."""

from __future__ import annotations

import time

PREFILL = 0.5  # of the time, at most, while others decode


class Share:
    """After each piece of a prompt, the time in which there may be no other one."""

    def __init__(self, part: float = PREFILL) -> None:
        """`part` in (0, 1]. Raises ValueError."""
        if not 0 < part <= 1:
            raise ValueError(f"prompts cannot take {part} of the time")
        self._wait = (1 - part) / part  # seconds for each of a prompt
        self._again = 0.0

    def open(self) -> bool:
        """Whether a piece may be computed though others decode."""
        return time.perf_counter() >= self._again

    def took(self, seconds: float) -> None:
        """A piece has just been computed."""
        self._again = time.perf_counter() + seconds * self._wait

"""What runs have taught about devices, kept from one console to the next."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from core.files import held, write_private

T = TypeVar("T")


def recall(memory: Path | None, kind: type[T]) -> dict[str, T]:
    """What was learnt before, by device; nothing where the file is missing or not ours."""
    try:
        return msgspec.json.decode(memory.read_bytes(), type=dict[str, kind]) if memory else {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def keep(memory: Path | None, kind: type[T], learnt: Mapping[str, T]) -> None:
    """Add what was learnt of some devices, beside what another console may have."""
    if memory is not None:
        # Losing it costs a rerun of fifty tokens; no answer may fail over it.
        with contextlib.suppress(OSError), held(memory):
            write_private(memory, msgspec.json.encode({**recall(memory, kind), **learnt}))

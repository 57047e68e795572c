"""Which weights were measured: a hash over all of a small model, and over samples of a large one."""

from __future__ import annotations

import hashlib
from pathlib import Path

WHOLE = 2**29
"""Bytes of weights up to which all are read, which takes a second or so; of more there are samples."""
SAMPLED = "sampled:"
"""What the hash of a large model begins with."""
SAMPLE = 2**16
"""Bytes read at the start, which hold the header, in the middle and at the end of each weight file."""


def fingerprint(path: Path, most: int = WHOLE) -> str:
    """sha256 over config.json and, of every weight file, name, size and content; "" where it has none.

    Of more than `most` bytes the content is three samples a file, and `SAMPLED` stands before the hash.
    Other weights, another quantisation or order change that too; a single changed number may not.
    """
    found = hashlib.sha256()
    try:
        found.update((path / "config.json").read_bytes())
        files = sorted(path.glob("*.safetensors"))
        whole = sum(file.stat().st_size for file in files) <= most
        for file in files:
            size = file.stat().st_size
            found.update(f"{file.name} {size}\n".encode())
            with file.open("rb") as weights:
                for place in range(0, size, SAMPLE) if whole else (0, size // 2, max(0, size - SAMPLE)):
                    weights.seek(place)
                    found.update(weights.read(SAMPLE))
    except OSError:
        return ""
    return ("" if whole else SAMPLED) + found.hexdigest()


def told(mark: str, digits: int) -> str:
    """A fingerprint for a reader, with so many of its digits."""
    if not mark:
        return "no fingerprint"
    word = "sha256 of samples" if mark.startswith(SAMPLED) else "sha256"
    return f"{word} {mark.removeprefix(SAMPLED)[:digits]}"

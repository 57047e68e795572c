"""Reads what safetensors files hold from their headers, without touching a weight."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from core.models.error import ModelError
from core.text import MALFORMED, clean_line

INDEX = "model.safetensors.index.json"
_LONGEST_HEADER = 100_000_000
"""Bytes; the limit the safetensors format itself sets."""


class Tensor(msgspec.Struct, frozen=True):
    """A tensor as a header describes it."""

    dtype: str
    """Such as `BF16` or `U32`."""
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]
    """First byte and the byte past the last, counted from the end of the header."""

    @property
    def nbytes(self) -> int:
        """Bytes on disk."""
        return self.data_offsets[1] - self.data_offsets[0]


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


def header(file: Path) -> dict[str, Tensor]:
    """The tensors of one safetensors file, by name.

    Raises ModelError when the file cannot be read, is no safetensors file, or is shorter than its
    header says.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or (length <= _LONGEST_HEADER and length > size - 8):
                raise ModelError(f"{file} is truncated: {size} bytes do not hold its header")
            if length > _LONGEST_HEADER:
                raise ModelError(f"{file} is not a safetensors file")
            raw = stream.read(length)
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from error
    try:
        entries = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        tensors = {name: msgspec.json.decode(entry, type=Tensor) for name, entry in entries.items()}
    except MALFORMED as error:
        raise ModelError(f"{file} has an unreadable header: {clean_line(str(error))}") from error
    if any(not 0 <= first <= last for first, last in (t.data_offsets for t in tensors.values())):
        raise ModelError(f"{file} has an unreadable header: a tensor ends before it starts")
    promised = 8 + length + max((t.data_offsets[1] for t in tensors.values()), default=0)
    if size < promised:
        raise ModelError(f"{file} is truncated: {size} bytes, its header promises {promised}")
    return tensors


def data_start(file: Path) -> int:
    """Where the tensors of a file begin: after the length of the header and the header. Raises OSError."""
    with file.open("rb") as stream:
        return 8 + int.from_bytes(stream.read(8), "little")


def files(directory: Path) -> list[Path]:
    """The weight files of a model: those its index names, else `model*.safetensors`, as mlx-lm takes them.

    Raises ModelError when there is none, or the index is unreadable or names a file that is missing.
    """
    index = directory / INDEX
    if not index.is_file():
        found = sorted(directory.glob("model*.safetensors"))
        if not found:
            raise ModelError(f"{directory} holds no model*.safetensors")
        return found
    try:
        names = set(msgspec.json.decode(index.read_bytes(), type=_Index).weight_map.values())
    except OSError as error:
        raise ModelError(f"{index} cannot be read: {error.strerror}") from error
    except MALFORMED as error:
        raise ModelError(f"{index} is unreadable: {clean_line(str(error))}") from error
    if not names:
        raise ModelError(f"{index} names no file")
    # A name with a folder in it could lead out of the model's directory.
    missing = [n for n in sorted(names) if Path(n).name != n or not (directory / n).is_file()]
    if missing:
        raise ModelError(f"{index} names {missing[0]!r}, which is not in {directory}")
    return [directory / name for name in sorted(names)]


def tensors(paths: Iterable[Path]) -> dict[str, Tensor]:
    """Every tensor of several files, by name. Raises ModelError as `header` does."""
    return {name: tensor for path in paths for name, tensor in header(path).items()}

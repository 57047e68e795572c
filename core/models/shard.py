"""The files that one stage needs of a model: the small ones whole, and its own tensors as one weight file.

The weight file is never written here: it is a new header before runs of bytes of the model's own files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from core.models import names, safetensors
from core.models.error import ModelError
from core.models.safetensors import Tensor
from core.models.spec import ModelSpec

WEIGHTS = "model.safetensors"
SMALL = 64 * 2**20
"""Bytes; a file beside the weights that is larger is no tokenizer or configuration."""
_TEXTS = (".json", ".jinja", ".model", ".txt", ".tiktoken")


class Span(msgspec.Struct, frozen=True):
    """Bytes `[start, start + size)` of a file."""

    file: Path
    start: int
    size: int


class Content(msgspec.Struct, frozen=True):
    """One file of a shard: `head`, then the spans."""

    name: str
    size: int
    head: bytes = b""
    spans: tuple[Span, ...] = ()

    def blocks(self, block: int) -> Iterator[bytes]:
        """All of it in order, in blocks of at most so many bytes. Raises OSError."""
        if self.head:
            yield self.head
        for span in self.spans:
            with span.file.open("rb") as file:
                file.seek(span.start)
                left = span.size
                while left:
                    data = file.read(min(block, left))
                    if not data:
                        raise OSError(f"{span.file} became shorter while it was read")
                    left -= len(data)
                    yield data


class Shard(msgspec.Struct, frozen=True):
    """What a device needs for one stage. `name` is another one for another model, split, header or text."""

    name: str
    contents: tuple[Content, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(content.size for content in self.contents)


def shard(spec: ModelSpec, start: int, end: int) -> Shard:
    """The files for layers `[start, end)`. Raises ModelError or OSError where the model cannot be read."""
    folder = Path(spec.path)
    weights = safetensors.files(folder)
    wanted: dict[str, tuple[Path, Tensor]] = {}
    for file in weights:
        for name, tensor in safetensors.header(file).items():
            if needed(name, spec, start, end):
                wanted[name] = file, tensor
    contents = [*_texts(folder), _weights(wanted)]
    return Shard(_name(spec, weights, contents, (start, end)), tuple(contents))


def needed(name: str, spec: ModelSpec, start: int, end: int) -> bool:
    """Whether the stage of layers `[start, end)` computes with a tensor of that name."""
    if names.DROPPED.search(name):
        return False
    first, last = start == 0, end == spec.layers
    if match := names.LAYER.search(name):
        return start <= int(match[1]) < end
    if names.EMBEDDING.search(name):
        return first or (last and spec.tied)
    if names.HEAD.search(name):
        return last
    return True  # norms and the like: small, and of some families needed before the last stage


def _weights(wanted: dict[str, tuple[Path, Tensor]]) -> Content:
    """One safetensors file of the tensors, which keep the order they have on disk."""
    ordered = sorted(wanted.items(), key=lambda item: (str(item[1][0]), item[1][1].data_offsets))
    described: dict[str, object] = {"__metadata__": {"format": "mlx"}}
    spans: list[Span] = []
    at = 0
    for name, (file, tensor) in ordered:
        size = tensor.nbytes
        described[name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": (at, at + size),
        }
        start = safetensors.data_start(file) + tensor.data_offsets[0]
        before = spans[-1] if spans else None
        if before and before.file == file and before.start + before.size == start:
            spans[-1] = Span(file, before.start, before.size + size)
        else:
            spans.append(Span(file, start, size))
        at += size
    header = msgspec.json.encode(described)
    header += b" " * (-len(header) % 8)  # as the format asks: tensors start at a multiple of 8
    head = len(header).to_bytes(8, "little") + header
    return Content(WEIGHTS, len(head) + at, head, tuple(spans))


def _texts(folder: Path) -> Iterator[Content]:
    """Configuration and tokenizer."""
    try:
        for file in sorted(folder.iterdir()):
            size = file.stat().st_size
            plain = file.suffix in _TEXTS and file.name != safetensors.INDEX
            if plain and file.is_file() and size <= SMALL:
                yield Content(file.name, size, spans=(Span(file, 0, size),))
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}") from error


def _name(spec: ModelSpec, weights: list[Path], contents: list[Content], layers: tuple[int, int]) -> str:
    """Of the model and the layers. By size and time of the weight files, which take minutes to read, and by
    all of the others."""
    digest = hashlib.sha256()
    for file in weights:
        stat = file.stat()
        digest.update(f"{file.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    for content in contents:
        digest.update(f"{content.name} {content.size}\n".encode())
        for block in [content.head] if content.name == WEIGHTS else content.blocks(SMALL):
            digest.update(block)
    plain = "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in spec.name)
    return f"{plain.strip('.')[-60:] or 'model'}-{digest.hexdigest()[:12]}-{layers[0]}-{layers[1]}"

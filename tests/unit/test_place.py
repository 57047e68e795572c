"""Where a device finds what its stage needs: only in folders that hold the very model."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.models.shard import WEIGHTS
from core.models.spec import ModelSpec, read
from core.models.stage import COPIES, place
from core.remote.local import LocalMachine, LocalProcess
from tests.unit.modelfiles import LLAMA, llama, model

LAYERS = 2


class Disk:
    """The files of a machine; see core.remote.files."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def size(self, path: str) -> int | None:
        file = self._root / path
        return file.stat().st_size if file.is_file() else None

    async def free(self, folder: str) -> int | None:
        return None

    async def make(self, folder: str) -> None:
        (self._root / folder).mkdir(parents=True, exist_ok=True)

    async def write(self, path: str, at: int, data: bytes) -> None:
        file = self._root / path
        file.write_bytes((file.read_bytes()[:at] if file.exists() else b"") + data)

    async def rename(self, old: str, new: str) -> None:
        (self._root / old).rename(self._root / new)

    async def remove(self, path: str) -> None:
        (self._root / path).unlink()

    async def folders(self, path: str) -> list[str]:
        return [one.name for one in (self._root / path).iterdir()]


class Elsewhere(LocalMachine):
    """This computer as another one: its disk begins at `root`, and its user's home is there."""

    def __init__(self, root: Path, models: str) -> None:
        super().__init__(sys.executable, root)
        self.work, self.models = "work", models
        self._root = root

    def _at(self, path: str) -> str:
        return str(self._root / path.lstrip("/"))

    async def has(self, path: str) -> bool:
        return await super().has(self._at(path))

    async def start(self, argv: Sequence[str], folder: str | None = None) -> LocalProcess:
        return await super().start([*argv[:-1], self._at(argv[-1])], folder)

    @asynccontextmanager
    async def files(self) -> AsyncGenerator[Disk]:
        yield Disk(self._root)


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return read(model(tmp_path / "here/fine", LLAMA, llama()))


async def placed(machine: Elsewhere, spec: ModelSpec) -> str:
    return await place(machine, spec, 0, LAYERS, lambda _done, _total: None)


def other(folder: Path, wrong: str) -> None:
    """A model that is another one."""
    weights = folder / WEIGHTS
    match wrong:
        case "no weights":
            weights.unlink()
        case "a part of them":
            weights.write_bytes(weights.read_bytes()[:-2])
        case "other numbers":
            weights.write_bytes(weights.read_bytes()[:-2] + b"\x01\x02")
        case "more files":
            shutil.copy(weights, folder / "model-2.safetensors")
        case _:
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps(config | {"rope_theta": 5.0}))


@pytest.mark.parametrize("models", ["", "models"])
async def test_the_same_model_is_used_where_it_lies(spec: ModelSpec, tmp_path: Path, models: str) -> None:
    there = tmp_path / "there"
    machine = Elsewhere(there, models)
    lies = there / models / spec.name if models else there / spec.path.lstrip("/")
    shutil.copytree(spec.path, lies)
    assert await placed(machine, spec) == (f"~/{models}/{spec.name}" if models else spec.path)
    assert not (there / "work").exists()


@pytest.mark.parametrize("models", ["", "models"])
@pytest.mark.parametrize(
    "wrong", ["no weights", "a part of them", "other numbers", "more files", "another config"]
)
async def test_another_model_in_its_place_is_left_alone_and_ours_is_copied(
    spec: ModelSpec, tmp_path: Path, models: str, wrong: str
) -> None:
    there = tmp_path / "there"
    machine = Elsewhere(there, models)
    lies = there / models / spec.name if models else there / spec.path.lstrip("/")
    shutil.copytree(spec.path, lies)
    other(lies, wrong)
    folder = await placed(machine, spec)
    assert folder.startswith(f"~/work/{COPIES}/")
    copy = there / folder.removeprefix("~/")
    assert (copy / "config.json").read_bytes() == Path(spec.path, "config.json").read_bytes()
    assert (copy / WEIGHTS).stat().st_size > 0

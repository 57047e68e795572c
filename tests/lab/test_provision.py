"""A host that has not this console's mlx: it is refused with the reason, or given what it lacks."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from core.bus import Bus
from core.cluster import Cluster
from core.config import Config, DeviceEntry
from core.remote.provision import FOLDER, here
from core.state import ClusterState
from tests.tiny_models import build

from .cluster import LIMIT, Setup, device, older
from .host import Host
from .vlab import Lab

INSTALL = 120.0


def _wheels(folder: Path) -> Path:
    """Packages with the names and versions that a device is given, and nothing in them: no index is here."""
    folder.mkdir()
    for name, version in here().items():
        plain = name.replace("-", "_")
        about = f"{plain}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{plain}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{plain}/__init__.py", "")
            wheel.writestr(
                f"{about}/METADATA",
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: cpu\n",
            )
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
    return folder


def test_ranks_with_another_mlx_are_refused_by_name(lab: Lab) -> None:
    model = build("llama", lab.dir / "versions")
    entries = [device(lab["h1"]), device(lab["h2"], python=older(lab))]
    setup = Setup(lab, "versions", entries, pinned=("h1", "h2"))
    command = setup.start("run", str(model), "--prompt", "def", "--on", "h1,h2", "--split", "2,4")
    assert command.end() == 1
    assert f"h1 has mlx {here()['mlx']}" in command.complaints
    assert "h2 has mlx 0.20.0" in command.complaints


@pytest.fixture
def bare(fresh_lab: Lab) -> Iterator[Host]:
    """The console's network; h1's account finds an mlx that is too old, and packages in a folder."""
    wheels = _wheels(fresh_lab.dir / "wheels")
    offline = f"PIP_NO_INDEX=1 PIP_FIND_LINKS={wheels} UV_NO_INDEX=1 UV_FIND_LINKS={wheels}"
    h1 = fresh_lab["h1"]
    h1.sshd(2222, extra=f"SetEnv TMPDIR={h1.home / 'tmp'} {offline}")
    h1.wait_port(2222)
    with fresh_lab.enter("console"):
        yield h1


async def test_a_device_is_given_a_python_of_its_own_and_loses_it_again(
    bare: Host, fresh_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    entry = msgspec.convert(device(bare, port=2222, python=older(fresh_lab)), DeviceEntry)
    config = Config(tmp_path, tmp_path / "cache", (entry,), local=False)
    config.known_hosts.write_text(bare.known_hosts_line(2222))
    cluster = Cluster(Bus(), config)

    async def until(reached: object) -> ClusterState:
        async with asyncio.timeout(INSTALL):
            return await cluster.bus.until(reached)  # type: ignore[arg-type]

    def checked(state: ClusterState, mlx: str, own: bool) -> bool:
        known = state.devices["h1"].checked if "h1" in state.devices else None
        return known is not None and (known.mlx, known.own) == (mlx, own)

    try:
        await cluster.start()
        await until(lambda state: checked(state, "0.20.0", False))
        cluster.provision("h1")
        state = await until(lambda state: checked(state, here()["mlx"], True))
        told = state.devices["h1"].checked
        assert told is not None and told.failed is None
        await until(lambda state: state.devices["h1"].status == "ready")
        assert sorted(path.name for path in (bare.home / ".local").iterdir()) == ["share"]

        cluster.unprovision("h1")
        await until(lambda state: checked(state, "0.20.0", False))
        assert not (bare.home / FOLDER).exists()
    finally:
        async with asyncio.timeout(LIMIT):
            await cluster.close()

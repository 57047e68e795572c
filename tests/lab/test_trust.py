"""Whether a real sshd's host key is trusted is the user's word, and nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from core.bus import Bus
from core.cluster import Cluster
from core.config import Config, DeviceEntry
from core.events import DeviceStatus
from core.state import ClusterState, Device

from .cluster import LIMIT, device, fingerprint, fingerprint_of
from .host import USER, Host
from .vlab import Lab

# What other people's ssh would take for "do not check": it must not mean that here.
CARELESS = "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home on the console, where ssh is told to be careless."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(CARELESS)
    return tmp_path


@pytest.fixture
def config(home: Path, lab: Lab) -> Config:
    entry = msgspec.convert(device(lab["h1"]), DeviceEntry)
    return Config(home / "exo-tui", home / "cache", (entry,), local=False)


@asynccontextmanager
async def _joined(config: Config) -> AsyncIterator[Cluster]:
    cluster = Cluster(Bus(), config)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.close()


async def _until(cluster: Cluster, reached: Callable[[ClusterState], bool]) -> ClusterState:
    async with asyncio.timeout(LIMIT):
        return await cluster.bus.until(reached)


async def _becomes(cluster: Cluster, *status: DeviceStatus, name: str = "h1") -> Device:
    def reached(state: ClusterState) -> bool:
        return name in state.devices and state.devices[name].status in status

    return (await _until(cluster, reached)).devices[name]


def _another_key(path: Path) -> tuple[str, str]:
    """A new key as a known_hosts line has it, and its fingerprint."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    public = path.with_suffix(".pub")
    return " ".join(public.read_text().split()[:2]), fingerprint(public)


async def test_an_accepted_key_is_pinned_and_asked_about_once(
    lab: Lab, config: Config, console: Host
) -> None:
    async with _joined(config) as cluster:
        question = (await _until(cluster, lambda state: "h1" in state.questions)).questions["h1"]
        assert (question.host, question.port) == (lab["h1"].ip, 22)
        assert question.algorithm == "ssh-ed25519"
        assert question.fingerprint == fingerprint_of(lab["h1"])
        assert cluster.bus.state.devices["h1"].status == "untrusted"
        assert not config.known_hosts.exists()
        cluster.trust("h1", True)
        await _becomes(cluster, "ready")
        assert cluster.bus.state.questions == {}
    [pinned] = config.known_hosts.read_text().splitlines()
    assert pinned.split()[1:3] == lab["h1"].known_hosts_line().split()[1:3]
    assert config.known_hosts.stat().st_mode & 0o777 == 0o600

    async with _joined(config) as again:
        assert (await _becomes(again, "ready", "untrusted", "refused")).status == "ready"


async def test_a_key_that_is_not_accepted_is_not_used(lab: Lab, config: Config, console: Host) -> None:
    async with _joined(config) as cluster:
        await _until(cluster, lambda state: "h1" in state.questions)
        cluster.trust("h1", False)
        refused = await _becomes(cluster, "refused", "ready")
        assert (refused.status, refused.detail) == ("refused", "you did not accept its host key")
        assert cluster.bus.state.questions == {}
    assert not config.known_hosts.exists()


@pytest.mark.parametrize("recorded_in", ["exo-tui/known_hosts", ".ssh/known_hosts"])
async def test_a_changed_key_is_refused_with_the_remedy(
    recorded_in: str, lab: Lab, config: Config, home: Path, console: Host
) -> None:
    key, former = _another_key(home / "former")
    record = home / recorded_in
    record.parent.mkdir(exist_ok=True)
    record.write_text(f"{lab['h1'].ip} {key}\n")
    async with _joined(config) as cluster:
        refused = await _becomes(cluster, "refused", "ready", "untrusted", "lost")
        assert refused.status == "refused"
        assert former in refused.detail and fingerprint_of(lab["h1"]) in refused.detail
        assert str(record) in refused.detail
        assert "remove" in refused.detail
        assert cluster.bus.state.questions == {}
    assert record.read_text() == f"{lab['h1'].ip} {key}\n"


async def test_the_users_own_known_hosts_and_ssh_config_are_honoured(
    lab: Lab, config: Config, home: Path, console: Host
) -> None:
    (home / ".ssh/known_hosts").write_text(lab["h1"].known_hosts_line())
    alias = f"Host studio\n  HostName {lab['h1'].ip}\n  User {USER}\n  IdentityFile {lab.key}\n"
    (home / ".ssh/config").write_text(f"{alias}{CARELESS}")
    bare = msgspec.structs.replace(config, devices=(DeviceEntry("studio", python=sys.executable),))
    async with _joined(bare) as cluster:
        studio = await _becomes(cluster, "ready", "untrusted", "refused", "lost", name="studio")
        assert (studio.status, studio.address) == ("ready", lab["h1"].ip)
    assert not config.known_hosts.exists()


async def test_no_key_that_the_host_takes_is_said_so(
    lab: Lab, config: Config, home: Path, console: Host
) -> None:
    _another_key(home / "id")
    (home / ".ssh/known_hosts").write_text(lab["h1"].known_hosts_line())
    entry = msgspec.structs.replace(config.devices[0], key=str(home / "id"))
    async with _joined(msgspec.structs.replace(config, devices=(entry,))) as cluster:
        lost = await _becomes(cluster, "lost", "ready")
        assert lost.detail == f"{lab['h1'].ip}:22 accepts none of your keys for this user"


async def test_a_host_without_that_python_is_named_and_sampled_by_a_shell(
    lab: Lab, config: Config, home: Path, console: Host
) -> None:
    (home / ".ssh/known_hosts").write_text(lab["h1"].known_hosts_line())
    entry = msgspec.structs.replace(config.devices[0], python="python-of-nobody")
    async with _joined(msgspec.structs.replace(config, devices=(entry,))) as cluster:
        ready = await _becomes(cluster, "refused", "ready", "lost")
        assert ready.status == "ready"
        assert "python-of-nobody" in ready.detail and "config.toml" in ready.detail
        async with asyncio.timeout(LIMIT):
            state = await cluster.bus.until(
                lambda state: any(d.sample and d.wiring for d in state.devices.values())
            )
        [device] = state.devices.values()
        assert device.facts is not None and device.facts.python == "" and device.sample is not None
        assert device.sample.memory_used < device.sample.memory_limit

"""What strangers on the network, and full disks, can do: little, and it is said."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import asyncssh
import pytest

from core import events as ev
from core.bus import Bus
from core.peers.adverts import PEERS, Board, advert
from core.remote.connection import Unreachable, connect
from core.remote.hostkeys import HostKeys
from core.remote.target import Target
from core.session.format import read
from core.session.record import Recorder


def test_a_flood_of_adverts_is_capped_and_said_once() -> None:
    heard: list[ev.AnyEvent] = []
    board = Board(heard.append, scope=None, clock=lambda: 1.0)
    for number in range(10_000):
        name, service = f"mac-{number}", "_ssh._tcp.local."
        board.put(advert(f"{name}.{service}", service, f"{name}.local.", 22, ["10.0.0.1"], {}))
    assert sum(isinstance(one, ev.PeerSeen) for one in heard) == PEERS
    [alert] = [one for one in heard if isinstance(one, ev.Alert)]
    assert "flooding" in alert.text


async def test_a_server_that_knows_only_sha1_is_refused(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        asyncssh.SSHServer, "127.0.0.1", 0, server_host_keys=[key], kex_algs=["diffie-hellman-group14-sha1"]
    )
    async with server:
        keys = HostKeys(tmp_path / "known_hosts")
        keys.pin("127.0.0.1", server.get_port(), key)
        with pytest.raises(Unreachable, match="no algorithm that is still safe"):
            await connect(Target(host="127.0.0.1", port=server.get_port(), ssh_config=False), keys)


@pytest.mark.parametrize("host", ["mini.local,*", "*", "0.0.0.0/0", "@cert-authority *", "a|b", "#x", "$(x)"])
async def test_a_key_is_never_asked_about_for_a_name_that_would_be_many_hosts(
    tmp_path: Path, host: str
) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(asyncssh.SSHServer, "127.0.0.1", 0, server_host_keys=[key])
    async with server:
        announced = Target(host=host, addresses=("127.0.0.1",), port=server.get_port(), ssh_config=False)
        with pytest.raises(Unreachable, match="is not a host name"):
            await connect(announced, HostKeys(tmp_path / "known_hosts"))


async def test_neither_is_it_where_ssh_config_makes_it_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(asyncssh.SSHServer, "127.0.0.1", 0, server_host_keys=[key])
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Host *\n  HostName 127.0.0.1\n  HostKeyAlias *\n")
    async with server:
        with pytest.raises(Unreachable, match="'\\*' is not a host name") as raised:
            await connect(Target(host="mini", port=server.get_port()), HostKeys(tmp_path / "known_hosts"))
    assert raised.value.step == "host key"


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    bus = Bus()
    recorder = Recorder(bus, tmp_path / "session")
    assert stat.S_IMODE((tmp_path / "session").stat().st_mode) == 0o600
    bus.publish(ev.Tick(t=1.0))
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with full.open("wb", buffering=0) as nowhere:
        recorder._file.flush()
        os.dup2(nowhere.fileno(), recorder._file.fileno())
        bus.publish(ev.Alert(t=2.0, level="info", subject="a", text="b"))
        bus.publish(ev.Tick(t=2.0))
        bus.publish(ev.Tick(t=3.0))
    told = [alert.text for alert in bus.state.alerts if "recording ends" in alert.text]
    assert told == ["the recording ends here: No space left on device"]
    assert bus.state.now == 3.0
    recorder.close()
    assert len(read(tmp_path / "session").events) == 1

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
from core.remote.connection import Target, Unreachable, connect
from core.remote.hostkeys import HostKeys
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

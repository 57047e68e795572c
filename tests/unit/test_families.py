"""IPv4 and IPv6: which of a name's addresses a device is reached at."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from core.remote.connection import Unreachable, connect
from core.remote.hostkeys import HostKeys
from core.remote.target import Target
from core.worker.control import ControlError
from core.worker.ring import free_port

V4, V6 = "127.0.0.1", "::1"
Serve = Callable[..., Any]


class _Open(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...]]:
    """Addresses by name, the first one first, as a resolver would tell."""
    names: dict[str, tuple[str, ...]] = {}
    real = socket.getaddrinfo

    def told(host: Any, port: Any, family: int = 0, *rest: int, **more: int) -> list[Any]:
        if not str(host).endswith(".local"):
            return real(host, port, family, *rest, **more)
        versions = {socket.AF_INET: (V4,), socket.AF_INET6: (V6,)}.get(family, (V4, V6))
        found = [one for one in names.get(host, ()) if one in versions]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [entry for one in found for entry in real(one, port, 0, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", told)
    return names


@pytest.fixture
async def serve(home: Path) -> AsyncIterator[Serve]:
    """Starts SSH servers on one port of the addresses; returns how `studio.local` is reached, and keys."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    keys = HostKeys(home / "known_hosts")
    async with AsyncExitStack() as servers:

        async def start(*addresses: str, **more: Any) -> tuple[Target, HostKeys]:
            port = 0
            for address in addresses:
                server = await asyncssh.create_server(_Open, address, port, server_host_keys=[key])
                port = (await servers.enter_async_context(server)).get_port()
            keys.pin("studio.local", port, key)
            return Target(host="studio.local", port=port, **more), keys

        yield start


async def reached(target: Target, keys: HostKeys) -> str:
    machine = await connect(target, keys)
    await machine.close()
    return machine.address


async def test_a_name_with_both_is_reached_by_ipv4(
    serve: Serve, known: dict[str, tuple[str, ...]], home: Path
) -> None:
    known["studio.local"] = V6, V4
    target, keys = await serve(V6, V4)
    assert await reached(target, keys) == V4
    (home / ".ssh/config").write_text("Host studio.local\n  AddressFamily inet6\n")
    assert await reached(target, keys) == V6


@pytest.mark.parametrize("addresses", [(V6,), (V6, V4), (V4, V6)])
async def test_one_that_takes_nobody_by_ipv4_is_reached_by_ipv6(
    serve: Serve, known: dict[str, tuple[str, ...]], addresses: tuple[str, ...]
) -> None:
    known["studio.local"] = addresses
    assert await reached(*await serve(V6)) == V6


async def test_a_name_nobody_knows_is_reached_where_it_is_announced(
    serve: Serve, known: dict[str, tuple[str, ...]]
) -> None:
    assert await reached(*await serve(V4, addresses=(V4,))) == V4


async def test_what_keeps_it_from_being_reached_by_ipv4_is_what_is_said(
    serve: Serve, known: dict[str, tuple[str, ...]]
) -> None:
    known["studio.local"] = (V4,)
    with pytest.raises(Unreachable, match="refuses SSH connections"):
        await reached(*await serve(V6))


def test_a_ring_by_ipv6_is_refused_with_the_reason() -> None:
    assert free_port(V4) > 0
    with pytest.raises(ControlError, match="wants IPv4, and this device is reached at fe80::1"):
        free_port("fe80::1")

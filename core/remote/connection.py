"""Reach a machine over SSH, with its key checked."""

from __future__ import annotations

import asyncio
import socket

import asyncssh

from core.remote.hostkeys import HostKeyChanged, HostKeys, HostKeyUnknown, is_host_name
from core.remote.ssh import SshMachine
from core.remote.target import Target
from core.text import clean_line

CONNECT_S = 5
KEEPALIVE = 1.0
MISSED = 3
"""Keepalives of a second, three missed: a silent peer is given up after four seconds (measured)."""

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")

# Without those that rest on SHA-1, which asyncssh would still take.
KEY_EXCHANGES = (
    "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp521", "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp256", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
)  # fmt: skip
SIGNATURES = (
    "ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp256", "sk-ecdsa-sha2-nistp256@openssh.com", "rsa-sha2-512", "rsa-sha2-256",
)  # fmt: skip


FAMILIES = (socket.AF_INET, socket.AF_INET6)
"""In this order: names of `.local` have link-local IPv6 addresses too, which mean nothing elsewhere."""


class Unreachable(Exception):
    """The machine could not be reached or let nobody in; the text is one line for a person.

    `step` is where it ended: "reach", "host key" or "login".
    """

    def __init__(self, text: str, step: str = "reach", remedy: str = "") -> None:
        super().__init__(text)
        self.step = step
        self.remedy = remedy


async def connect(target: Target, keys: HostKeys) -> SshMachine:
    """Connect and authenticate.

    Raises HostKeyUnknown when the user must be asked, HostKeyChanged when the key is not the one on
    record, Unreachable for everything else.
    """
    if not is_host_name(target.host):  # before a `Match exec` of the user's gives it to a shell
        raise Unreachable(clean_line(f"{target.host!r} is not a host name"))
    options: dict[str, object] = {
        "known_hosts": keys.load(),
        "connect_timeout": CONNECT_S,
        "login_timeout": 10,
        "keepalive_interval": KEEPALIVE,
        "keepalive_count_max": MISSED,
        "encryption_algs": CIPHERS,
        "kex_algs": KEY_EXCHANGES,
        "signature_algs": SIGNATURES,
        "agent_forwarding": False,
        "config": () if target.ssh_config else None,
    }
    if target.port is not None:
        options["port"] = target.port
    if target.user is not None:
        options["username"] = target.user
    if target.key is not None:
        options["client_keys"] = [str(target.key)]
        options["agent_path"] = None
    try:
        return await _by_any_family(target, keys, options)
    except (OSError, asyncssh.Error, ValueError) as error:
        raise _trouble(target, error) from None


async def _by_any_family(target: Target, keys: HostKeys, options: dict[str, object]) -> SshMachine:
    """Where the host's name is not known, by the addresses that are announced for it."""
    troubles: list[OSError] = []
    for family in await _families(target, options):
        try:
            return await _dial(target, keys, {**options, "family": family})
        except OSError as error:
            troubles.append(error)
    if refused := [one for one in troubles if not isinstance(one, socket.gaierror)]:
        raise refused[0]
    if not target.addresses:
        raise troubles[0]
    return await _dial(target, keys, {**options, "sock": await _announced(target)})


async def _families(target: Target, options: dict[str, object]) -> tuple[int, ...]:
    """Those to try, in this order: both, unless ssh_config has an AddressFamily for the host."""
    settings = await asyncio.to_thread(asyncssh.SSHClientConnectionOptions, host=target.host, **options)
    return FAMILIES if settings.family == socket.AF_UNSPEC else (settings.family,)


async def _dial(target: Target, keys: HostKeys, options: dict[str, object]) -> SshMachine:
    client = _Client()
    try:
        connection = await asyncssh.connect(target.host, client_factory=lambda: client, **options)  # pyright: ignore[reportArgumentType]
    except asyncssh.HostKeyNotVerifiable as error:
        raise _host_key_trouble(target, client, keys, error) from None
    return SshMachine(connection, client.lost, target)


async def _announced(target: Target) -> socket.socket:
    """Connected to the first of its announced addresses that takes it. Raises OSError of the last one."""
    loop, trouble = asyncio.get_running_loop(), OSError("no address is announced")
    for address in target.addresses:
        try:
            async with asyncio.timeout(CONNECT_S):
                where = await loop.getaddrinfo(address, target.port or 22, type=socket.SOCK_STREAM)
                family, kind, protocol, _, place = where[0]
                channel = socket.socket(family, kind, protocol)
                try:
                    channel.setblocking(False)
                    await loop.sock_connect(channel, place)
                except BaseException:
                    channel.close()
                    raise
                return channel
        except OSError as error:  # TimeoutError is one
            trouble = error
    raise trouble


class _Client(asyncssh.SSHClient):
    """Remembers the key that nothing on record matched, and why the connection ended."""

    def __init__(self) -> None:
        self.offered: tuple[str, str, int, asyncssh.SSHKey] | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        # Also called for a changed key: saying yes here would accept that too.
        self.offered = (host, addr, port, key)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(clean_line(str(exc)) if exc else "the connection was closed")


def _host_key_trouble(
    target: Target, client: _Client, keys: HostKeys, error: asyncssh.HostKeyNotVerifiable
) -> Exception:
    if client.offered is None:
        return Unreachable(clean_line(f"{target.host}: {error.reason}"), "host key")
    host, address, port, key = client.offered
    old = keys.recorded(host, address, port)
    if not old:
        if not is_host_name(host):  # ssh_config can have given it another one
            return Unreachable(clean_line(f"{host!r} is not a host name"), "host key")
        return HostKeyUnknown(host, port, key)
    fingerprints = ", ".join(dict.fromkeys(one for some in old.values() for one in some))
    return HostKeyChanged(
        f"{host} shows another host key than the one on record: {key.get_fingerprint()}, recorded "
        f"{fingerprints}; if you know why it changed, remove its line from {' and '.join(map(str, old))}"
    )


def _trouble(target: Target, error: Exception) -> Unreachable:
    where = f"{target.host}:{target.port or 22}"
    match error:
        case ConnectionRefusedError():
            remedy = "System Settings → General → Sharing → Remote Login, or start sshd there"
            return Unreachable(f"{where} refuses SSH connections; is Remote Login on?", remedy=remedy)
        case TimeoutError():
            return Unreachable(f"{where} does not answer", remedy="is it awake, and in this network?")
        case socket.gaierror():
            remedy = "give its address as `host` in config.toml, or as HostName in ~/.ssh/config"
            return Unreachable(f"{target.host} is not a known name", remedy=remedy)
        case asyncssh.PermissionDenied():
            told = f"{where} accepts none of your keys for this user"
            return Unreachable(
                told, "login", f"ssh-copy-id {target.host}, or name user and key in config.toml"
            )
        case asyncssh.KeyExchangeFailed():
            told = f"{where} speaks no algorithm that is still safe"
            return Unreachable(told, "host key", "update the SSH server there")
        case _:
            return Unreachable(clean_line(f"{where}: {error}"))

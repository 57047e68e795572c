"""Why the network shows nobody: we ask every machine there, and look what becomes of the question."""

from __future__ import annotations

import errno
import ipaddress
import os
import platform
import re
import secrets
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable, Sequence

import msgspec

from core.events import Cause

GROUP, PORT = "224.0.0.251", 5353
LOOK_S = 1.5
PACKET = 9000
_MULTICAST_ALL = 49
"""linux/in.h: when 0, a socket hears only what it joined itself."""

_QUESTION = b"\x09_services\x07_dns-sd\x04_udp\x05local\x00" + struct.pack("!HH", 12, 1)
"""What services are there? Anything that speaks multicast DNS answers: printers and televisions too."""
_TUNNEL = re.compile(r"(utun|tun|tap|wg|ppp|ipsec|zt|tailscale|nordlynx)\d*\w*$")
_REMOTE_LOGIN = (
    "switch Remote Login on there (System Settings → General → Sharing), or run `exo-tui announce` there"
)
_BY_NAME = "name them in ~/.ssh/config or config.toml, and they are listed here"


class Ear(msgspec.Struct, frozen=True):
    """What came of a question sent from one address of this machine."""

    interface: str
    address: str
    error: int | None = None
    """The errno that sending it failed with."""
    echoed: bool = False
    """It was heard back, as everybody on the network should hear it."""
    others: int = 0
    """Machines that answered."""


def interfaces() -> list[tuple[str, str]]:
    """(name, IPv4 address) of every interface of this machine that has one."""
    import ifaddr  # comes with zeroconf

    return [
        (adapter.nice_name, ip.ip)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if isinstance(ip.ip, str)
    ]


def outside(places: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those by which other machines can be reached."""
    return [(name, address) for name, address in places if not ipaddress.ip_address(address).is_loopback]


def listen(places: Iterable[tuple[str, str]]) -> tuple[Ear, ...]:
    """Ask from each (interface, address), and listen for `LOOK_S`. Blocks that long."""
    query = secrets.token_bytes(2) + struct.pack("!5H", 0, 1, 0, 0, 0) + _QUESTION
    ears: dict[str, Ear] = {}
    sockets: dict[socket.socket, str] = {}
    answered: dict[str, set[str]] = {}
    try:
        for name, address in places:
            error, channel = _ask(address, query)
            ears[address] = Ear(name, address, error)
            answered[address] = set()
            if channel is not None:
                sockets[channel] = address
        end = time.monotonic() + LOOK_S
        while sockets and (left := end - time.monotonic()) > 0:
            for channel in select.select(list(sockets), [], [], left)[0]:
                address = sockets[channel]
                try:
                    data, (source, *_) = channel.recvfrom(PACKET)
                except OSError:
                    continue
                if data == query and source == address:
                    ears[address] = msgspec.structs.replace(ears[address], echoed=True)
                elif len(data) > 12 and data[2] & 0x80 and source not in ears:
                    answered[address].add(source)
    finally:
        for channel in sockets:
            channel.close()
    return tuple(msgspec.structs.replace(ear, others=len(answered[ear.address])) for ear in ears.values())


def _ask(address: str, query: bytes) -> tuple[int | None, socket.socket | None]:
    """(errno, None) where asking failed, else None and a socket that hears what comes."""
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        channel.setblocking(False)
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            channel.setsockopt(socket.SOL_SOCKET, option, 1)
        here = socket.inet_aton(address)
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
        if sys.platform == "linux":
            channel.setsockopt(socket.IPPROTO_IP, _MULTICAST_ALL, 0)
        channel.bind(("", PORT))
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + here)
        channel.sendto(query, (GROUP, PORT))
    except OSError as error:
        channel.close()
        return error.errno or errno.EIO, None
    return None, channel


def causes(ears: Sequence[Ear], failure: str = "", system: str = "") -> tuple[Cause, ...]:
    """The likely causes of an empty list, the most telling first. `failure` is what listening failed with."""
    mac = (system or platform.system()) == "Darwin"
    if not ears:
        return (
            Cause(
                "this computer is in no network",
                "no interface has an IPv4 address besides loopback",
                "connect a cable, or join a network",
            ),
        )
    found = [Cause("cannot listen for peers", failure)] if failure else []
    found += [_cause(ear, mac) for ear in sorted(ears, key=lambda ear: (_is_tunnel(ear), -ear.others))]
    return tuple(found)


def _is_tunnel(ear: Ear) -> bool:
    return _TUNNEL.match(ear.interface) is not None


def _cause(ear: Ear, mac: bool) -> Cause:
    name = ear.interface
    if _is_tunnel(ear):
        return Cause(f"{name} is a VPN", "multicast does not cross it", f"for machines behind it: {_BY_NAME}")
    if ear.error is not None:
        return _unsent(ear, ear.error, mac)
    if not ear.echoed:
        command = (
            "/usr/libexec/ApplicationFirewall/socketfilterfw --getblockall"
            if mac
            else "sudo nft list ruleset"
        )
        return Cause(
            f"multicast is blocked on {name}",
            "not even our own question was heard there: a firewall drops UDP port 5353",
            "let UDP port 5353 in",
            command,
        )
    if ear.others:
        are = "machine answers" if ear.others == 1 else "machines answer"
        return Cause(f"{ear.others} {are} on {name}, none of them can be logged in to", "", _REMOTE_LOGIN)
    return Cause(
        f"nobody answers on {name}",
        "multicast works as far as this computer goes: nobody else is there, or the network keeps it from "
        "others (guest Wi-Fi, another subnet, a VPN)",
        f"{_REMOTE_LOGIN}; or {_BY_NAME}",
    )


def _unsent(ear: Ear, error: int, mac: bool) -> Cause:
    told = os.strerror(error)
    if mac and error == errno.EHOSTUNREACH:  # Apple TN3179
        return Cause(
            f"macOS keeps exo-tui from the local network ({ear.interface})",
            f"{told}: Local Network privacy, which holds for a tmux that another app has started",
            "start exo-tui from Terminal or over ssh, or tmux anew from there; or allow your terminal in "
            "System Settings → Privacy & Security → Local Network",
        )
    if error in (errno.EPERM, errno.EACCES):
        return Cause(
            f"a firewall here forbids multicast on {ear.interface}",
            told,
            "let UDP port 5353 out",
            "" if mac else "sudo nft list ruleset",
        )
    return Cause(f"multicast cannot be sent on {ear.interface}", told, "look whether it is up")

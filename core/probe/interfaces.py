"""Network interfaces: their addresses, whether there is a link, and what medium they are."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from core.probe.fields import MOST, WORD, array, document, entries, fields, word
from core.text import clean_line
from core.wiring import Interface, LinkKind

_VPN = re.compile(r"(utun|ipsec|ppp|tun|tap|wg|tailscale|zt|nebula)\d*")
_ETHERNET = re.compile(r"Ethernet|\bLAN\b")
_HEAD = re.compile(r"([A-Za-z][\w.]{0,30}): flags=[0-9a-f]{1,8}<([A-Z0-9_,]{0,300})>")
_INET = re.compile(r"\s+inet6? ([0-9a-fA-F:.]{2,45})(%[\w.]{1,30})?(?: .{0,200})?")
_MASK = re.compile(r" netmask 0x([0-9a-f]{8})(?= |$)| prefixlen (\d{1,3})(?= |$)")

LOOPBACK, TUNNEL, ETHER = "772", "65534", "1"
"""ARPHRD types of Linux: loopback; none, as of TUN and WireGuard; Ethernet, of which Wi-Fi is one."""


def hardware_ports(text: str) -> dict[str, str]:
    """Interface by name of its hardware port, from `networksetup -listallhardwareports`."""
    found: dict[str, str] = {}
    port = ""
    for line in text.splitlines()[: 4 * MOST]:
        name, _, value = line.partition(": ")
        if name == "Hardware Port":
            port = clean_line(value, WORD)
        elif name == "Device" and port:
            if interface := clean_line(value, WORD):
                found.setdefault(port, interface)
            port = ""
    return found


def mac(text: str, ports: Mapping[str, str]) -> tuple[Interface, ...]:
    """Interfaces from `ifconfig`, their medium from the hardware port they belong to.

    Raises ValueError where no interface is found, which no Mac is without.
    """
    labels = {interface: port for port, interface in ports.items()}
    found: dict[str, Interface] = {}
    members: dict[str, str] = {}
    current: Interface | None = None
    for line in text.splitlines()[: 32 * MOST]:
        if head := _HEAD.match(line):
            name, flags = head[1], head[2].split(",")
            label = labels.get(name, "")
            kind = "loopback" if "LOOPBACK" in flags else _mac_kind(name, label)
            current = Interface(name=name, kind=kind, label=label, up={"UP", "RUNNING"} <= set(flags))
        elif current is None:
            continue
        elif line.startswith("\tstatus: "):
            current = replace(current, up=line.strip() == "status: active")
        elif line.startswith("\tmember: "):
            members[line.split()[1] if len(line.split()) > 1 else ""] = current.name
        elif address := _address(line):
            current = replace(current, addresses=(*current.addresses[:MOST], address))
        found[current.name] = current
        if len(found) > MOST:
            break
    if not found:
        raise ValueError("ifconfig printed no interface")
    return _bridged(found, members)


def _mac_kind(name: str, label: str) -> LinkKind:
    if _VPN.fullmatch(name):
        return "vpn"
    if label.startswith("Thunderbolt") and "Ethernet" not in label:
        return "thunderbolt"  # also the `Thunderbolt Bridge`
    if label == "Wi-Fi":
        return "wifi"
    return "ethernet" if _ETHERNET.search(label) else "unknown"


def _address(line: str) -> str:
    """`192.0.2.10/24` from a line of ifconfig, the scope kept; nothing where there is none."""
    found = _INET.fullmatch(line)
    if found is None:
        return ""
    mask = _MASK.search(line)
    try:
        address = ipaddress.ip_address(found[1])
        if mask is None:
            prefix = address.max_prefixlen
        elif mask[1]:
            prefix = ipaddress.ip_network(f"0.0.0.0/{ipaddress.ip_address(int(mask[1], 16))}").prefixlen
        else:
            prefix = min(int(mask[2]), address.max_prefixlen)
    except ValueError:
        return ""
    return f"{address}{found[2] or ''}/{prefix}"


def linux(text: str, sysfs: Mapping[str, Mapping[str, str]]) -> tuple[Interface, ...]:
    """Interfaces from `ip -j addr`, their medium from what /sys/class/net says of them.

    Raises ValueError where the text is no such list.
    """
    found: dict[str, Interface] = {}
    members: dict[str, str] = {}
    listed = document(text)
    if not entries(listed):
        raise ValueError("ip printed no list of interfaces")
    for one in entries(listed):
        name = word(one.get("ifname"))
        if not name:
            continue
        keys = sysfs.get(name, {})
        flags = array(one.get("flags"))
        up = "LOWER_UP" in flags if flags else None
        addresses = tuple(filter(None, (_cidr(entry, name) for entry in entries(one.get("addr_info")))))
        found[name] = Interface(name=name, kind=_linux_kind(name, keys), up=up, addresses=addresses)
        if master := word(one.get("master")):
            members[name] = master
    return _bridged(found, members)


def _linux_kind(name: str, keys: Mapping[str, str]) -> LinkKind:
    if keys.get("type") == LOOPBACK:
        return "loopback"
    if keys.get("type") == TUNNEL or _VPN.fullmatch(name):
        return "vpn"
    if keys.get("driver") == "thunderbolt-net":
        return "thunderbolt"
    if keys.get("wireless"):
        return "wifi"
    return "ethernet" if keys.get("type") == ETHER else "unknown"


def _cidr(entry: Mapping[str, object], interface: str) -> str:
    local, prefix = word(entry.get("local")), entry.get("prefixlen")
    try:
        address = ipaddress.ip_address(local)
    except ValueError:
        return ""
    if not isinstance(prefix, int) or not 0 <= prefix <= address.max_prefixlen:
        prefix = address.max_prefixlen
    return f"{address}{f'%{interface}' if address.is_link_local and address.version == 6 else ''}/{prefix}"


def _bridged(found: Mapping[str, Interface], members: Mapping[str, str]) -> tuple[Interface, ...]:
    """With each member naming its bridge, and each bridge of the medium that all its members are of."""
    kinds: dict[str, set[LinkKind]] = {}
    for member, bridge in members.items():
        if member in found and bridge in found:
            kinds.setdefault(bridge, set()).add(found[member].kind)
    made: list[Interface] = []
    for one in found.values():
        if one.name in kinds:
            [kind, *more] = kinds[one.name]
            one = replace(one, kind="unknown" if more else kind)
        made.append(replace(one, bridge=members[one.name]) if one.name in members else one)
    return tuple(made)


def sysfs(text: str) -> dict[str, dict[str, str]]:
    """Lines `eth0/type: 1`, by interface."""
    found: dict[str, dict[str, str]] = {}
    for name, value in fields(text).items():
        interface, slash, key = name.partition("/")
        if slash:
            found.setdefault(clean_line(interface, WORD), {})[key] = clean_line(value, WORD)
    return found


def mac_networks(text: str) -> tuple[str, ...]:
    """Networks that `netstat -rn -f inet` has a route to, the default left out. `192.0.2` is a /24 there."""
    found: list[str] = []
    for line in text.splitlines()[: 4 * MOST]:
        destination = (line.split() or [""])[0]
        if not destination[:1].isdigit() or "#" in destination:
            continue
        body, _, prefix = destination.partition("/")
        parts = body.split(".")
        width = prefix or str(8 * len(parts))
        found.append(f"{'.'.join(parts + ['0'] * (4 - len(parts)))}/{width}")
    return _networks(found)


def linux_networks(text: str) -> tuple[str, ...]:
    """The same from `ip -j route`. Raises ValueError where the text is no such list."""
    return _networks(word(route.get("dst")) for route in entries(document(text)))


def _networks(found: Iterable[str]) -> tuple[str, ...]:
    kept: Counter[str] = Counter()
    for text in found:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        if network.prefixlen and not network.is_multicast and not network.is_loopback:
            kept[str(network)] += 1
    return tuple(kept)


def rates(
    before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]], seconds: float
) -> dict[str, tuple[float, float]]:
    """Bytes a second (in, out) of each interface that moved any. Counters that went back count as none."""
    found: dict[str, tuple[float, float]] = {}
    for name, (received, sent) in after.items():
        old = before.get(name)
        if old is not None and seconds > 0 and (received > old[0] or sent > old[1]):
            found[name] = (max(0, received - old[0]) / seconds, max(0, sent - old[1]) / seconds)
    return found


def mac_counters(text: str) -> dict[str, tuple[int, int]]:
    """(received, sent) bytes from `netstat -ibn`: the row of each interface whose network is `<Link#n>`.

    Counted from the end of the row, as an interface without a hardware address has one column less.
    """
    found: dict[str, tuple[int, int]] = {}
    for line in text.splitlines()[: 8 * MOST]:
        row = line.split()
        if len(row) >= 10 and row[2].startswith("<Link#") and _count(row[-5]) and _count(row[-2]):
            found.setdefault(clean_line(row[0].rstrip("*"), WORD), (int(row[-5]), int(row[-2])))
    return found


def linux_counters(text: str) -> dict[str, tuple[int, int]]:
    """(received, sent) bytes from /proc/net/dev."""
    found: dict[str, tuple[int, int]] = {}
    for line in text.splitlines()[2 : 2 + MOST]:
        name, _, rest = line.partition(":")
        row = rest.split()
        if len(row) >= 9 and _count(row[0]) and _count(row[8]):
            found[clean_line(name, WORD)] = (int(row[0]), int(row[8]))
    return found


def _count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18

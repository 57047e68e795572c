"""Why no peer is in the list."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence


def interfaces() -> list[tuple[str, str]]:
    """(name, IPv4 address) of every interface of this machine that has one."""
    import ifaddr  # comes with zeroconf

    return [
        (adapter.nice_name, ip.ip)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if isinstance(ip.ip, str)
    ]


def why_empty(interfaces: Sequence[tuple[str, str]], waited: float, failure: str = "") -> str:
    """The likely cause of an empty list after `waited` seconds; `failure` is what Browser.start raised."""
    if all(ipaddress.ip_address(address).is_loopback for _, address in interfaces):
        return "no interface has an IPv4 address besides loopback: connect a cable or join a network"
    if failure:
        return f"cannot listen for peers: {failure}"
    heard = ", ".join(
        dict.fromkeys(name for name, address in interfaces if not ipaddress.ip_address(address).is_loopback)
    )
    return (
        f"nothing announced in {waited:.0f} s on {heard}; multicast may be blocked (macOS Local Network "
        "privacy in tmux or ssh, a firewall, another subnet, a VPN), or no device has Remote Login on"
    )

"""Replaces in a text what could name a person, machine or place: one thing always by the same other."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

_UUID = re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b")
_MAC = re.compile(r"(?<![0-9a-fA-F:.])[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}(?![0-9a-fA-F:])")
_GUID = re.compile(r"(?<![0-9a-fA-F:])[0-9a-fA-F]{4}(?::[0-9a-fA-F]{4}){3}(?![0-9a-fA-F:])")
_LONG = re.compile(r"\b(?:0x)?[0-9a-fA-F]{16}\b")
_IPV6 = re.compile(r"(?<![0-9a-zA-Z:.])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?![0-9a-zA-Z:.])")
_IPV4 = re.compile(r"(?<![\d.])(\d{1,3}\.\d{1,3}\.\d{1,3})\.(\d{1,3})(?![\d.])")
_SERIAL = re.compile(
    r'((?:serial|IOPlatformSerialNumber)[\w ()"]{0,30}[:=]\s{0,4}"?)([A-Za-z0-9]{6,20})', re.IGNORECASE
)
_HOME = re.compile(r"(/(?:Users|home)/)([^/\s\"':]{1,64})")
_KEPT_V4 = ("127.", "255.", "0.", "169.254.", "224.")


class Anonymiser:
    """Remembers what it replaced, so that who is cabled to whom can still be seen.

    `names` are host and user names: they are replaced wherever they stand as a word.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._known: dict[tuple[str, str], str] = {}
        words = sorted({name for name in names if len(name) > 1}, key=len, reverse=True)
        self._names = re.compile(
            "|".join(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])" for word in words) or r"(?!)",
            re.IGNORECASE,
        )

    def __call__(self, text: str) -> str:
        """The text without them. Lengths and what lines mean stay."""
        text = _UUID.sub(lambda m: self._as("uuid", m[0].lower(), "{0:08X}-0000-4000-8000-{0:012X}"), text)
        text = _SERIAL.sub(lambda m: m[1] + self._as("serial", m[2], "SERIAL{0:04d}"), text)
        text = _HOME.sub(lambda m: m[1] + self._as("name", m[2].lower(), "name{0}"), text)
        text = self._names.sub(lambda m: self._as("name", m[0].lower(), "name{0}"), text)
        text = _MAC.sub(lambda m: self._as("mac", m[0].lower(), "02:00:5e:00:{1:02x}:{0:02x}"), text)
        text = _GUID.sub(lambda m: self._as("guid", m[0].lower(), "0000:0000:0000:{0:04x}"), text)
        text = _LONG.sub(lambda m: self._as("long", m[0].lower(), "{0:016X}"), text)
        text = _IPV6.sub(self._ipv6, text)
        text = _IPV4.sub(self._ipv4, text)
        for (kind, prefix), other in self._known.items():
            if kind == "net" and not prefix.startswith(_KEPT_V4):  # as netstat shortens 192.0.2.0/24
                text = re.sub(rf"(?<![\d.]){re.escape(prefix)}(?![\d.])", other, text)
        return text

    def _as(self, kind: str, value: str, form: str) -> str:
        known = self._known.get((kind, value))
        if known is None:
            number = 1 + sum(other == kind for other, _ in self._known)
            known = self._known[kind, value] = form.format(
                number % 65536 % 256 if "{1" in form else number, number // 256
            )
        return known

    def _ipv4(self, found: re.Match[str]) -> str:
        """Networks stay networks: the first three numbers are replaced together, the last one is kept."""
        if found[1].startswith("169.254."):
            return "169.254." + self._as("link", found[0], "{1}.{0}")
        if found[0].startswith(_KEPT_V4):
            return found[0]
        return f"{self._as('net', found[1], '198.18.{0}')}.{found[2]}"

    def _ipv6(self, found: re.Match[str]) -> str:
        try:
            address = ipaddress.IPv6Address(found[0])
        except ValueError:
            return found[0]
        if address.is_loopback or address.is_unspecified or address.ipv4_mapped:
            return found[0]
        return ("fe80::" if address.is_link_local else "2001:db8::") + self._as("v6", str(address), "{0:x}")

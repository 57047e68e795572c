"""Adverts of services, merged into peers. Pure: everything from the network is cleaned and capped here."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from core.events import Alert, AnyEvent, PeerLost, PeerSeen
from core.text import clean_line

OWN = "_exo-tui._tcp"
REHEARSAL = "rehearsal"
"""TXT key naming the rehearsal an advert belongs to."""

PEERS = 256
ADVERTS_OF_A_PEER = 16
ADDRESSES = 16
ENTRIES = 32
VALUE = 256


class Advert(msgspec.Struct, frozen=True):
    """One service instance as announced: `id` is its raw name on the network, never shown."""

    id: str
    service: str
    name: str
    host: str
    port: int
    addresses: tuple[str, ...]
    txt: dict[str, str]

    @property
    def key(self) -> str:
        """Services on one host and port are one peer."""
        return f"{self.host}:{self.port}"


def advert(
    instance: str,
    service_type: str,
    server: str,
    port: int,
    addresses: Iterable[str],
    properties: Mapping[bytes, bytes | None],
) -> Advert:
    """What the network said, fit to be shown. Bytes that are no UTF-8 become U+FFFD."""
    txt: dict[str, str] = {}
    for key, value in properties.items():
        name = clean_line(key.decode(errors="replace"), VALUE)
        if name and len(txt) < ENTRIES:
            txt[name] = clean_line((value or b"").decode(errors="replace"), VALUE)
    service = service_type.removesuffix(".").removesuffix(".local")
    host = clean_line(server.removesuffix(".").lower(), VALUE)
    return Advert(
        id=instance,
        service=service,
        name=clean_line(instance.removesuffix(f".{service_type}"), VALUE) or host,
        host=host,
        port=port,
        addresses=_ordered(clean_line(address) for address in addresses),
        txt=txt,
    )


class Board:
    """The adverts heard, and what was said of them: PeerSeen on a change, PeerLost with the last one.

    With a `scope` only adverts of that rehearsal count, without one only those of none: rehearsals
    and a real console on one network do not see each other.
    """

    def __init__(
        self, publish: Callable[[AnyEvent], None], *, scope: str | None, clock: Callable[[], float]
    ) -> None:
        self._publish = publish
        self._scope = scope
        self._clock = clock
        self._keys: dict[str, str] = {}
        self._adverts: dict[str, dict[str, Advert]] = {}
        self._said: dict[str, PeerSeen] = {}
        self._full = False

    def put(self, new: Advert) -> None:
        """An advert is there, or says something else than before."""
        if new.txt.get(REHEARSAL) != self._scope:
            self.remove(new.id)
            return
        if self._keys.get(new.id, new.key) != new.key:
            self.remove(new.id)
        if new.key not in self._adverts and len(self._adverts) >= PEERS:
            self._flooded()
            return
        adverts = self._adverts.setdefault(new.key, {})
        if new.id in adverts or len(adverts) < ADVERTS_OF_A_PEER:
            adverts[new.id] = new
            self._keys[new.id] = new.key
            self._say(new.key)

    def remove(self, id: str) -> None:  # noqa: A002 - the field's own name
        """An advert was withdrawn or expired. One never put is ignored."""
        key = self._keys.pop(id, None)
        if key is None:
            return
        del self._adverts[key][id]
        if self._adverts[key]:
            self._say(key)
        else:
            del self._adverts[key], self._said[key]
            self._publish(PeerLost(t=self._clock(), key=key))

    def _flooded(self) -> None:
        if not self._full:
            self._full = True
            text = f"over {PEERS} peers are announced; the others are not listed. Somebody may be flooding"
            self._publish(Alert(t=self._clock(), level="warning", subject="discovery", text=text))

    def _say(self, key: str) -> None:
        peer = _merged(key, self._adverts[key].values(), self._clock())
        former = self._said.get(key)
        if former is None or replace(former, t=peer.t) != peer:
            self._said[key] = peer
            self._publish(peer)


def _merged(key: str, adverts: Iterable[Advert], t: float) -> PeerSeen:
    """One peer of several adverts; where they disagree our own service's word counts."""
    ranked = sorted(adverts, key=lambda advert: (advert.service != OWN, advert.service, advert.id))
    txt: dict[str, str] = {}
    for each in ranked:
        for name, value in each.txt.items():
            if len(txt) < ENTRIES:
                txt.setdefault(name, value)
    return PeerSeen(
        t=t,
        key=key,
        name=ranked[0].name,
        host=ranked[0].host,
        addresses=_ordered(address for each in ranked for address in each.addresses),
        port=ranked[0].port,
        services=tuple(sorted({each.service for each in ranked})),
        txt=txt,
    )


def _ordered(addresses: Iterable[str]) -> tuple[str, ...]:
    """Without repeats, IPv4 first, link-local last in each: stable, so that order is no change."""

    def rank(address: str) -> tuple[int, bool, int, str]:
        ip = ipaddress.ip_address(address)
        return ip.version, ip.is_link_local, int(ip), address

    return tuple(sorted(set(addresses), key=rank)[:ADDRESSES])

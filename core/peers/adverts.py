"""Adverts of services, merged into peers. Pure: everything from the network is cleaned and capped here."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import get_args

import msgspec
from msgspec.structs import replace

from core.events import Alert, AnyEvent, PeerLost, PeerSeen, Way
from core.peers.known import Known
from core.text import clean_line

OWN = "_exo-tui._tcp"
NODE = "_p2p._udp"
"""How exo's nodes announce themselves: not a way in."""
REHEARSAL = "rehearsal"
"""TXT key naming the rehearsal an advert belongs to."""

PEERS = 256
ADVERTS_OF_A_PEER = 16
ADDRESSES = 16
ENTRIES = 32
VALUE = 256
_WAYS: tuple[Way, ...] = get_args(Way)


class Advert(msgspec.Struct, frozen=True):
    """One service instance as announced: `id` is made of its raw name on the network, and never shown."""

    id: str
    service: str
    name: str
    host: str
    port: int
    addresses: tuple[str, ...]
    txt: dict[str, str]
    way: Way = "mdns"

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
    way: Way = "mdns",
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
        id=instance if way == "mdns" else f"{way} {instance}",
        service=service,
        name=clean_line(instance.removesuffix(f".{service_type}"), VALUE) or host,
        host=host,
        port=port,
        addresses=_ordered(clean_line(address) for address in addresses),
        txt=txt,
        way=way,
    )


class Board:
    """What is known of peers, and what was said of them: PeerSeen on a change, PeerLost with the last word.

    With a `scope` only adverts of that rehearsal count, without one only those of none: rehearsals
    and a real console on one network do not see each other. A host of the user's own is one peer with the
    adverts that give its address, under the user's name for it, and does not count towards the limit.
    """

    def __init__(
        self, publish: Callable[[AnyEvent], None], *, scope: str | None, clock: Callable[[], float]
    ) -> None:
        self._publish = publish
        self._scope = scope
        self._clock = clock
        self._keys: dict[str, str] = {}
        self._adverts: dict[str, dict[str, Advert]] = {}
        self._known: dict[str, tuple[Known, ...]] = {}
        self._claims: dict[str, str] = {}
        """Which peer a known place is shown with, where that is another key."""
        self._said: dict[str, PeerSeen] = {}
        self._full = False

    @property
    def full(self) -> bool:
        """No more peers are taken."""
        return len(self._adverts) >= PEERS

    def strangers(self, own: Collection[str]) -> bool:
        """Whether a machine is announced that has none of these addresses."""
        return any(
            not set(one.addresses) & set(own) for some in self._adverts.values() for one in some.values()
        )

    def key(self, id: str) -> str | None:  # noqa: A002 - the field's own name
        """Which peer an advert belongs to, if it is on the board."""
        return self._keys.get(id)

    def know(self, known: Iterable[Known]) -> None:
        """Hosts that the user has named."""
        for one in known:
            self._known[one.place] = (*self._known.get(one.place, ()), one)
            self._say(one.place)

    def put(self, new: Advert) -> None:
        """An advert is there, or says something else than before."""
        if new.txt.get(REHEARSAL) != self._scope:
            self.remove(new.id)
            return
        if self._keys.get(new.id, new.key) != new.key:
            self.remove(new.id)
        if new.key not in self._adverts and self.full:
            self.flooded()
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
        if not self._adverts[key]:
            del self._adverts[key]
        self._say(key)

    def flooded(self) -> None:
        """An advert was not looked at, because there are too many. Said once."""
        if not self._full:
            self._full = True
            text = f"over {PEERS} peers are announced; the others are not listed. Somebody may be flooding"
            self._publish(Alert(t=self._clock(), level="warning", subject="discovery", text=text))

    def _say(self, key: str) -> None:
        adverts = self._adverts.get(key, {})
        mine = {place for place, peer in self._claims.items() if peer == key}
        wanted = {place for place in _places(adverts.values()) if place in self._known and place != key}
        for place in mine - wanted:
            del self._claims[place]
        for place in wanted:
            self._claims.setdefault(place, key)
        claimed = sorted(
            {place for place in wanted if self._claims[place] == key} | {key} & self._known.keys()
        )
        known = () if key in self._claims else tuple(one for place in claimed for one in self._known[place])
        self._tell(key, _merged(key, adverts.values(), known, self._clock()) if adverts or known else None)
        for place in mine ^ (wanted & {place for place, peer in self._claims.items() if peer == key}):
            self._say(place)

    def _tell(self, key: str, peer: PeerSeen | None) -> None:
        former = self._said.get(key)
        if peer is None:
            if former is not None:
                del self._said[key]
                self._publish(PeerLost(t=self._clock(), key=key))
        elif former is None or replace(former, t=peer.t) != peer:
            self._said[key] = peer
            self._publish(peer)


def _places(adverts: Iterable[Advert]) -> set[str]:
    """Where adverts say that their peer is."""
    return {f"{where}:{one.port}" for one in adverts for where in (one.host, *one.addresses)}


def _merged(key: str, adverts: Iterable[Advert], known: Sequence[Known], t: float) -> PeerSeen:
    """One peer of all that is said of it. The user's word counts most, then that of our own service."""
    ranked = sorted(adverts, key=lambda advert: (advert.service != OWN, advert.service, advert.id))
    txt: dict[str, str] = {}
    for each in ranked:
        for name, value in each.txt.items():
            if len(txt) < ENTRIES:
                txt.setdefault(name, value)
    users = sorted(known, key=lambda one: _WAYS.index(one.way))
    return PeerSeen(
        t=t,
        key=key,
        name=(users or ranked)[0].name,
        host=(ranked or users)[0].host,
        addresses=_ordered(address for each in ranked for address in each.addresses),
        port=(ranked or users)[0].port,
        services=tuple(sorted({each.service for each in ranked})),
        txt=txt,
        ways=tuple(sorted({one.way for one in (*users, *ranked)}, key=_WAYS.index)),
        known=(users[0].dial or users[0].name) if users else "",
        login=next((one.login for one in users if one.login), ""),
    )


def _ordered(addresses: Iterable[str]) -> tuple[str, ...]:
    """Without repeats, IPv4 first, link-local last in each: stable, so that order is no change."""

    def rank(address: str) -> tuple[int, bool, int, str]:
        ip = ipaddress.ip_address(address)
        return ip.version, ip.is_link_local, int(ip), address

    return tuple(sorted(set(addresses), key=rank)[:ADDRESSES])

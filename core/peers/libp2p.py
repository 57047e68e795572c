"""Nodes of exo, up to 1.0.71, as they announce themselves: libp2p's multicast DNS, which has no SRV records.

https://github.com/libp2p/specs/blob/master/discovery/mdns.md: a PTR of `_p2p._udp.local` names an instance
whose TXT holds `dnsaddr=` and a multiaddress for each way to reach it. Other programs of libp2p say the same,
so a node is called what it is: perhaps exo's. exo's main branch announces nothing by multicast DNS.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from core.peers.adverts import NODE, Advert, Board
from core.text import clean_line

if TYPE_CHECKING:
    from zeroconf import Zeroconf

_ADDRESS = re.compile(
    rb"dnsaddr=/ip[46]/([0-9a-fA-F.:]{2,45})/(?:tcp|udp)/(\d{1,5})\b[^\s]*?/p2p/(\w{8,128})"
)
_TYPE = f"{NODE}.local."
_PTR, _IN = 12, 1  # RFC 1035


def listen(zeroconf: Zeroconf, board: Board) -> None:
    """Put what announces itself so on the board, as long as `zeroconf` is open."""
    from zeroconf import DNSPointer, DNSQuestion, DNSText, RecordUpdate, RecordUpdateListener  # pyright: ignore[reportPrivateImportUsage]

    texts: dict[str, bytes] = {}

    class Listener(RecordUpdateListener):
        def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
            for update in records:
                record = update.new
                if isinstance(record, DNSText) and b"dnsaddr=" in record.text:
                    if record.is_expired(now):
                        texts.pop(record.name, None)
                    elif len(texts) < 64:
                        texts[record.name] = record.text
                        _put(board, record.text)
                elif isinstance(record, DNSPointer) and record.name == _TYPE and record.is_expired(now):
                    gone = node(texts.pop(record.alias, b""))
                    if gone is not None:
                        board.remove(gone.id)

    zeroconf.async_add_listener(Listener(), DNSQuestion(_TYPE, _PTR, _IN))
    ask(zeroconf)


def _put(board: Board, text: bytes) -> None:
    found = node(text)
    if found is not None:
        board.put(found)


def node(text: bytes) -> Advert | None:
    """The node that a TXT record speaks of; None where it names no address."""
    found = [
        one for one in _ADDRESS.findall(text) if _is_address(one[0].decode()) and 0 < int(one[1]) < 65536
    ]
    if not found:
        return None
    addresses = [address.decode() for address, _, _ in found]
    port, name = int(found[0][1]), clean_line(found[0][2].decode(errors="replace"))
    return Advert(
        id=f"{NODE} {name}",
        service=NODE,
        name=f"exo node? {name[-8:]}",
        host=addresses[0],
        port=port,
        addresses=tuple(dict.fromkeys(addresses)),
        txt={},
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def ask(zeroconf: Zeroconf) -> None:
    """Ask who is there."""
    from zeroconf import DNSOutgoing, DNSQuestion  # pyright: ignore[reportPrivateImportUsage]

    asked = DNSOutgoing(0)
    asked.add_question(DNSQuestion(_TYPE, _PTR, _IN))
    zeroconf.async_send(asked)

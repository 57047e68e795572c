"""Thunderbolt ports and what is plugged into them, from either system's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from core.probe.fields import document, entries, fields, number, table, word
from core.wiring import Far, Port

RDMA_SERVICE = 64087
"""Protocol id that a Mac with RDMA on announces over the cable, and one with RDMA off does not. Seen in
captures of both; Apple documents it nowhere."""
DEEPEST = 8
"""Thunderbolt chains six devices."""
MOST_FAR = 16

_SPEED = re.compile(r"(Up to )?(\d{1,4}(?:\.\d{1,3})?) Gb/s")
_CONNECTED = {"receptacle_connected": True, "receptacle_no_devices_connected": False}


def mac(text: str, interfaces: Mapping[str, str]) -> tuple[Port, ...]:
    """Ports from `system_profiler SPThunderboltDataType -json`.

    `interfaces` is interface by name of its hardware port: receptacle 2 is the one called `Thunderbolt 2`.
    The numbers of the interfaces have no order, and change. Raises ValueError where the text is no such list.
    """
    buses = table(document(text)).get("SPThunderboltDataType")
    if buses is None:
        raise ValueError("system_profiler printed no list of Thunderbolt ports")
    found: list[Port] = []
    for bus in entries(buses):
        domain, tag = word(bus.get("domain_uuid_key")).lower(), table(bus.get("receptacle_1_tag"))
        receptacle = word(tag.get("receptacle_id_key"))
        if not domain and not receptacle:
            continue
        label = f"Thunderbolt {receptacle}" if receptacle else ""
        most, now = _speeds(word(tag.get("current_speed_key")))
        far = tuple(_far(bus))[:MOST_FAR]
        found.append(
            Port(
                label=label or word(bus.get("_name")),
                domain=domain,
                interface=interfaces.get(label, ""),
                most_gbps=most,
                gbps=now,
                connected=_CONNECTED.get(word(tag.get("receptacle_status_key"))),
                far=far,
            )
        )
    return tuple(sorted(found, key=lambda port: port.label))


def _speeds(text: str) -> tuple[float | None, float | None]:
    """What the port can do and what the link does: macOS says one of the two."""
    found = _SPEED.fullmatch(text)
    if found is None:
        return None, None
    gbps = float(found[2])
    return (gbps, None) if found[1] else (None, gbps)


def _far(item: Mapping[str, object], docks: tuple[str, ...] = ()) -> Iterator[Far]:
    """The computers below an item: those with a domain id. A dock has none, and may have one below it."""
    if len(docks) > DEEPEST:
        return
    for below in entries(item.get("_items")):
        domain = word(below.get("domain_uuid_key")).lower()
        name = word(below.get("_name")) or word(below.get("device_name_key"))
        if domain:
            yield Far(domain=domain, model=name, docks=docks, rdma=_announces_rdma(below))
        yield from _far(below, (*docks, name or "a dock"))


def _announces_rdma(peer: Mapping[str, object]) -> bool | None:
    """None where the protocol ids are left out, as some macOS do: that is not off."""
    ids = [service.get("protocol_id_key") for service in entries(peer.get("services_title"))]
    if RDMA_SERVICE in ids:
        return True
    return None if not ids or None in ids else False


def linux(text: str, interfaces: Mapping[str, str]) -> tuple[Port, ...]:
    """Ports with a computer at their other end, from lines `0-1/unique_id: value` of sysfs.

    Such a neighbour has a speed and lanes, a dock or drive has `authorized`, and the host's own switch is
    `0-0`. That its unique_id is what the other end calls its domain is documented, but untested with a Mac.
    `interfaces` is network interface by the service it belongs to, `0-1.0`.
    """
    known: dict[str, dict[str, str]] = {}
    for name, value in fields(text).items():
        device, slash, key = name.partition("/")
        if slash:
            known.setdefault(device, {})[key] = value
    found: list[Port] = []
    for device, keys in known.items():
        domain, dash, route = device.partition("-")
        if not dash or "." in route or route == "0" or "authorized" in keys or "unique_id" not in keys:
            continue
        speed = number(keys.get("rx_speed", "").removesuffix(" Gb/s"))
        lanes = number(keys.get("rx_lanes", ""))
        own = next((name for service, name in interfaces.items() if service.startswith(f"{device}.")), "")
        far = Far(domain=word(keys["unique_id"]).lower(), model=word(keys.get("device_name", "")))
        found.append(
            Port(
                label=f"Thunderbolt {word(device)}",
                domain=word(known.get(f"{domain}-0", {}).get("unique_id", "")).lower(),
                interface=own,
                gbps=speed * lanes if speed is not None and lanes is not None else None,
                connected=True,
                far=(far,),
            )
        )
    return tuple(found[:MOST_FAR])

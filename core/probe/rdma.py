"""RDMA over Thunderbolt: what the tools say of it, and what stands between a port and its use."""

from __future__ import annotations

import re

from core.probe.fields import MOST, WORD
from core.text import clean_line
from core.wiring import RDMA_GBPS, Far, Port, RdmaPort, RdmaState, Wiring

_STATE = re.compile(r"\s{0,40}state:\s{1,40}(PORT_[A-Z_]{1,20})\b.{0,40}")
_GID = re.compile(r"\s{0,40}GID\[\s{0,4}\d{1,4}\]:\s{1,40}(\S{1,60}).{0,40}")


def enabled(text: str) -> bool:
    """What `rdma_ctl status` says. Raises ValueError for anything but its two answers."""
    answer = clean_line(text).lower()
    if answer not in ("enabled", "disabled"):
        raise ValueError("rdma_ctl gave an unknown answer")
    return answer == "enabled"


def ports(text: str) -> tuple[RdmaPort, ...]:
    """RDMA devices from `ibv_devinfo -v`, or without -v. None of them is a good answer: RDMA is off."""
    found: list[RdmaPort] = []
    for line in text.splitlines()[: 16 * MOST]:
        if line.startswith("hca_id:"):
            if name := clean_line(line.removeprefix("hca_id:"), WORD):
                found.append(RdmaPort(name=name))
        elif not found:
            continue
        elif state := _STATE.fullmatch(line):
            found[-1] = RdmaPort(name=found[-1].name, active=state[1] == "PORT_ACTIVE", ipv4=found[-1].ipv4)
        elif gid := _GID.fullmatch(line):
            mapped = gid[1].lower().startswith("::ffff:") or bool(found[-1].ipv4)
            found[-1] = RdmaPort(name=found[-1].name, active=found[-1].active, ipv4=mapped)
    return tuple(found[:MOST])


def state(
    port: Port, wiring: Wiring, far: Far | None, *, used: bool = False, fault: str = ""
) -> tuple[RdmaState, str]:
    """What stands between a port and RDMA to `far`, and what that rests on.

    `used`: a run has its queue pairs on it. `fault`: what a rank said when RDMA failed there.
    """
    if far is None:
        return "no cable", "nothing is plugged in" if port.connected is False else "no computer at the end"
    if port.gbps is not None and port.gbps < RDMA_GBPS:
        if wiring.thunderbolt5 is False:
            return "slow cable", "this computer has no Thunderbolt 5"
        via = f" through {far.docks[-1]}" if far.docks else ""
        return "slow cable", f"the link runs at {port.gbps:g} Gb/s{via}, RDMA needs {RDMA_GBPS:g}"
    if wiring.thunderbolt5 is False:
        return "slow cable", "this computer has no Thunderbolt 5"
    if wiring.rdma is False:
        return "off here", "rdma_ctl says disabled"
    listed = wiring.rdma_ports
    device = next((one for one in listed or () if one.name == f"rdma_{port.interface}"), None)
    if listed == ():
        said = "though rdma_ctl says enabled" if wiring.rdma else "and rdma_ctl could not be asked"
        return "off here", f"ibv_devinfo lists no device, {said}"
    if device is None or device.active is None:
        # Only an active port would prove the hint of the other end wrong.
        if far.rdma is False:
            return "off there", "the other end does not announce RDMA"
        return (
            "unknown",
            "ibv_devinfo does not show this port" if listed else "ibv_devinfo could not be asked",
        )
    if not device.active:
        if far.rdma is False:
            return "off there", "the other end does not announce RDMA"
        return "port down", f"{device.name} is PORT_DOWN"
    if not _has_ipv4(port, wiring, device):
        return "no IPv4", f"{port.interface} has no IPv4 address"
    if fault:
        return "faulted", fault
    return ("in use", "") if used else ("ready", "")


def _has_ipv4(port: Port, wiring: Wiring, device: RdmaPort) -> bool:
    """By its GIDs, which JACCL picks from; where they are not shown, by the addresses they are made of."""
    if device.ipv4 is not None:
        return device.ipv4
    own = wiring.interface(port.interface)
    return own is not None and any(":" not in address for address in own.addresses)

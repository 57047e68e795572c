"""Who calls himself by a name that somebody else has: names on a network are anybody's."""

from __future__ import annotations

from core import events as ev
from core.state import ClusterState, Device

_LOOPBACK = ("127.", "::1", "localhost")


def is_device(peer: ev.PeerSeen, device: Device) -> bool:
    """Whether a peer is a device of the cluster, by where it is; never by what it is called.

    Devices of a rehearsal share the loopback address, so an address alone tells only off loopback.
    """
    if peer.key == device.peer or (peer.known and peer.name == device.id):
        return True
    off_loopback = not device.address.startswith(_LOOPBACK)
    return off_loopback and device.address in {peer.host, *peer.addresses}


def peer_of(state: ClusterState, device: Device) -> ev.PeerSeen | None:
    """What is known of a device besides what it says itself."""
    return next((peer for peer in state.peers.values() if is_device(peer, device)), None)


def doubt(state: ClusterState, peer: ev.PeerSeen) -> str:
    """Why a peer may not be who it says it is; empty where nothing speaks against it."""
    if peer.known or any(is_device(peer, device) for device in state.devices.values()):
        return ""
    names = _names(peer.name, peer.host)
    for device in state.devices.values():
        if names & _names(device.name, device.address):
            return f"not your {device.name}: another machine that calls itself so"
    for other in state.peers.values():
        if other.key != peer.key and names & _names(other.name, other.known, other.host):
            if other.known:
                return f"not your {other.name}: another machine that calls itself so"
            if other.announced and other.host != peer.host:
                return f"{other.host} calls itself so too"
    return ""


def _names(*names: str) -> set[str]:
    """As people would take them for one another: case, `.local` and blanks do not tell names apart."""
    plain = (name.casefold().removesuffix(".").removesuffix(".local").replace(" ", "-") for name in names)
    return {name for name in plain if name}

"""Taking a peer into the cluster: what is asked first, and why it may be refused."""

from __future__ import annotations

import msgspec

from core.events import PeerSeen
from core.namesakes import doubt, is_device
from core.state import THIS_MACHINE, ClusterState

NOT_A_WAY_IN = "_p2p._udp"
SSH = 22


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How a peer is to be reached and used, as typed. What is empty is left to ssh_config or the default."""

    name: str = ""
    user: str = ""
    port: str = ""
    key: str = ""
    python: str = ""
    work: str = ""
    models: str = ""
    keep: bool = False
    """Write it into config.toml."""


def why_not_add(state: ClusterState, peer: PeerSeen) -> str | None:
    """The reason a peer cannot be added, None when it can."""
    if any(is_device(peer, device) for device in state.devices.values()):
        return "is in the cluster already"
    if set(peer.services) == {NOT_A_WAY_IN}:
        return "is listed only: this is how exo's nodes talk to each other, not a way in"
    return None


def suggested(state: ClusterState, peer: PeerSeen) -> Wanted:
    """What the form begins with. A name somebody else has is given to no other."""
    name = peer.name
    if name in state.devices or doubt(state, peer):
        name = f"{peer.name} at {(peer.addresses or (peer.host,))[0]}"
    return Wanted(name=name, port="" if peer.known or peer.port == SSH else str(peer.port))


def mistake(state: ClusterState, wanted: Wanted) -> tuple[str, str] | None:
    """(field, what is wrong with it) of the first that cannot be meant."""
    if not wanted.name.strip():
        return "name", "a device needs a name"
    if wanted.name in state.devices or wanted.name == THIS_MACHINE:
        return "name", f"there is a device called {wanted.name}"
    port = wanted.port
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        return "port", "a port is a number from 1 to 65535"
    return None

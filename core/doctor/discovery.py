"""What is wrong with how this computer hears of others."""

from __future__ import annotations

from collections.abc import Iterator

from core.doctor.finding import Command, Finding
from core.namesakes import doubt
from core.state import THIS_MACHINE, ClusterState


def findings(state: ClusterState) -> Iterator[Finding]:
    """Why nobody is heard, and who calls himself by somebody else's name."""
    for cause in state.silence or ():
        yield Finding(
            level="warning",
            devices=(THIS_MACHINE,),
            where="discovery",
            what=cause.what,
            why=cause.why,
            todo=cause.todo,
            commands=(Command(THIS_MACHINE, cause.command),) if cause.command else (),
        )
    for peer in state.peers.values():
        if unsure := doubt(state, peer):
            yield Finding(
                level="warning",
                devices=(peer.name,),
                where=peer.name,
                what=unsure,
                why=f"it is announced at {', '.join(peer.addresses) or peer.host}",
                todo="if it is yours, give it a name of its own; if not, do not accept its key",
            )

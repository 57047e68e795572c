"""How a machine is reached."""

from __future__ import annotations

from pathlib import Path

import msgspec

WORK = "~/.cache/exo-tui"
"""Where we write on a device, unless it is told otherwise."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a machine. What is None is left to the user's ssh_config and agent."""

    host: str
    addresses: tuple[str, ...] = ()
    """Where the network says that it is, for a host that nothing else knows. Its key is that of `host`."""
    port: int | None = None
    user: str | None = None
    key: Path | None = None
    python: str = "python3"
    work: str = WORK
    models: str = ""
    ssh_config: bool = True
    """Read the user's ~/.ssh/config; a rehearsal does not."""

"""zeroconf's sockets. To be called once zeroconf is imported, which takes a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf


def opened(interfaces: list[str] | None) -> AsyncZeroconf:
    """Sockets on these addresses, or on all there are. Raises OSError where there are none."""
    from zeroconf import InterfaceChoice, IPVersion
    from zeroconf.asyncio import AsyncZeroconf

    try:
        if interfaces is not None:
            return AsyncZeroconf(interfaces)
        try:
            return AsyncZeroconf(InterfaceChoice.All, ip_version=IPVersion.All)
        except OSError:  # no IPv6 on this machine
            return AsyncZeroconf(InterfaceChoice.All)
    except RuntimeError as error:  # how zeroconf says that there is no interface
        raise OSError(str(error)) from error

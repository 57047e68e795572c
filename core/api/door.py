"""Who may come in: whoever has the token; without one, programs of this computer only."""

from __future__ import annotations

import secrets
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from core.api.errors import ApiError

OPEN = frozenset({"/health"})
"""What needs no token: whoever watches over the server should not need one."""


class Door:
    """Middleware that refuses strangers."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        """An empty token means a server that listens on loopback only."""
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await refusal.response(scope, receive, send)

    def _refusal(self, scope: Scope) -> ApiError | None:
        headers = Headers(scope=scope)
        if not self._token:
            # A name that resolves to loopback is how a web page would get past the browser's own rules.
            host = headers.get("host", "")
            if not is_loopback(_name(f"//{host}")):
                return ApiError(403, f"this server is not {host!r}")
            origin = headers.get("origin")
            if origin is not None and not is_loopback(_name(origin)):
                return ApiError(403, f"pages of {origin!r} have no business here")
            return None
        if scope["path"] in OPEN:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = headers.get("x-api-key", "")  # Anthropic's clients
        if secrets.compare_digest(given.strip().encode(), self._token):
            return None
        return ApiError(401, "the token is missing or wrong", code="invalid_api_key")


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a name or address means this computer and no other."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

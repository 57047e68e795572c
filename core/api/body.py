"""Reading a request's body: all of it, within a limit of size and of time."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from core.api.errors import ApiError

LIMIT = 8 * 2**20
DRAINED = 2**30
"""A body beyond the limit is read up to here and thrown away: clients read no answer while they send."""
BODY_S = 60.0


async def read(request: Request) -> bytes:
    """The body. Raises ApiError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Not only form: a page in the user's browser may send others, or none, here without asking first.
        raise ApiError(415, f"the body has to be application/json, not {kind or 'without a Content-Type'}")
    length = request.headers.get("content-length", "")
    asks_first = request.headers.get("expect", "").lower() == "100-continue"
    if asks_first and length.isdecimal() and int(length) > LIMIT:
        raise _too_large()
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= LIMIT:
                    body += chunk
                elif size > DRAINED:
                    break
                else:
                    body.clear()
    except TimeoutError:
        raise ApiError(408, f"the body did not come within {BODY_S:.0f} s") from None
    except ClientDisconnect:
        raise ApiError(400, "the body ended too early") from None
    if size > LIMIT:
        raise _too_large()
    return bytes(body)


def _too_large() -> ApiError:
    return ApiError(413, f"the body is larger than {LIMIT // 2**20} MiB")

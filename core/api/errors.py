"""What a client is told when it cannot have what it asks for, in the shape OpenAI's API gives its errors."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from core.request import NotTaken, QueueFull

RETRY_S = 1
"""When to ask again after a refusal for want of room: answers end all the time."""


class ApiError(Exception):
    """A refusal: HTTP status, reason, and the name of the field it is about."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    @classmethod
    def of(cls, error: NotTaken) -> ApiError:
        """The refusal of a request that the cluster does not take."""
        if isinstance(error, QueueFull):
            return cls(429, str(error), code="queue_full")
        return cls(503, str(error), code="not_running")

    @property
    def document(self) -> dict[str, object]:
        """The JSON document of it."""
        kind = "invalid_request_error" if 400 <= self.status < 500 and self.status != 429 else "server_error"
        told = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": told}

    @property
    def response(self) -> Response:
        """The whole response."""
        return self.shaped(self.document)

    def shaped(self, document: object) -> Response:
        """The same with another document of it."""
        headers: dict[str, str] = {}
        if self.status in (429, 503):
            headers["Retry-After"] = str(RETRY_S)
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return json_response(document, self.status, headers)


def json_response(document: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON document as a response."""
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")


async def refuse(_: Request, error: Exception) -> Response:
    """Starlette's handler of `ApiError`."""
    assert isinstance(error, ApiError)
    return error.response

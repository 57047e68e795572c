"""One HTTP response to one request to the model: whole or streamed, and ended when nobody takes it."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send

from core.api.answers import Answer, Answers
from core.api.errors import ApiError, json_response
from core.api.forms import Document, Form
from core.request import NotTaken, Prompt, Sampling


class Reply:
    """Asks when it is sent, so that nothing is asked for a client that has left before."""

    def __init__(
        self, answers: Answers, prompt: Prompt, sampling: Sampling, form: Form, *, stream: bool, usage: bool
    ) -> None:
        self._answers, self._prompt, self._sampling, self._form = answers, prompt, sampling, form
        self._stream, self._usage = stream, usage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            opened = self._answers.open(self._prompt, self._sampling)
        except NotTaken as error:
            refused = ApiError.of(error)
            await refused.shaped(self._form.failed(refused))(scope, receive, send)
            return
        with opened as answer:
            telling = self._tell(answer, scope, receive, send)
            # Whatever is first: all is told, the client has left, or it does not read.
            ways = [asyncio.ensure_future(way) for way in (telling, _left(receive), answer.overrun.wait())]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                results = await asyncio.gather(*ways, return_exceptions=True)
            if isinstance(results[0], Exception):
                raise results[0]

    async def _tell(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        await answer.begun()
        if self._stream and not answer.failure:
            await self._tell_as_it_comes(answer, send)
            return
        pieces = [piece async for piece in answer.pieces()]
        assert answer.done is not None
        if answer.failure:
            failure = self._failed(answer)
            response = failure.shaped(self._form.failed(failure))
        else:
            response = json_response(self._form.whole(pieces, answer.done))
        await response(scope, receive, send)

    async def _tell_as_it_comes(self, answer: Answer, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        form = self._form
        await self._send(send, form.opening())
        async for piece in answer.pieces():
            await self._send(send, form.piece(piece))
        assert answer.done is not None
        if answer.failure:
            await self._send(send, [form.failed(self._failed(answer))])
        else:
            await self._send(send, form.closing(answer.done))
            if self._usage:
                await self._send(send, form.cost(answer.done))
        await send({"type": "http.response.body", "body": form.ending})

    async def _send(self, send: Send, documents: list[Document]) -> None:
        body = b"".join(map(self._form.framed, documents))
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})

    def _failed(self, answer: Answer) -> ApiError:
        # While the run goes on, it is the request that could not be answered.
        if not self._answers.running:
            return ApiError(503, answer.failure, code="not_running")
        assert answer.done is not None
        return ApiError(400 if answer.done.why == "error" else 503, answer.failure)


async def _left(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass

"""The server's addresses, and what is at each of them."""

from __future__ import annotations

import time

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from core import events as ev
from core.api import anthropic, body, schema
from core.api.answers import Answers, Engine
from core.api.door import Door
from core.api.errors import ApiError, json_response, refuse
from core.api.forms import ChatForm, Form, TextForm
from core.api.metrics import CONTENT_TYPE, Metrics
from core.api.reply import Reply
from core.text import clean_line


class Api:
    """The API of one cluster, which has one model."""

    def __init__(self, engine: Engine, model: str, token: str) -> None:
        self.answers = Answers(engine)
        self._engine = engine
        self._metrics = Metrics(engine.bus)
        self._model = {
            "id": model,
            "object": "model",
            "created": int(time.time()),
            "owned_by": "exo-tui",
        }
        self._token = token

    @property
    def app(self) -> ASGIApp:
        """As ASGI."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/completions", self._complete, methods=["POST"]),
                Route("/v1/messages", self._message, methods=["POST"]),
                Route("/v1/models", self._models),
                Route("/v1/models/{name:path}", self._named),
                Route("/health", self._health),
                Route("/metrics", self._measures),
            ],
            middleware=[Middleware(Door, token=self._token)],
            exception_handlers={ApiError: refuse, HTTPException: _nowhere, Exception: self._defect},
        )

    def end(self) -> None:
        """No more is answered, nor counted."""
        self.answers.end()
        self._metrics.end()

    async def _chat(self, request: Request) -> Reply:
        asked = schema.decode(await body.read(request), schema.ChatAsked)
        return self._reply(asked, ChatForm(self._known(asked.model)))

    async def _complete(self, request: Request) -> Reply:
        asked = schema.decode(await body.read(request), schema.TextAsked)
        return self._reply(asked, TextForm(self._known(asked.model)))

    def _reply(self, asked: schema.ChatAsked | schema.TextAsked, form: Form) -> Reply:
        stream = bool(asked.stream)
        return Reply(self.answers, asked.prompt, asked.sampling, form, stream=stream, usage=asked.usage)

    async def _message(self, request: Request) -> Reply | Response:
        try:
            asked = schema.decode(await body.read(request), anthropic.MessagesAsked)
            form = anthropic.MessageForm(self._known(asked.model))
            prompt = asked.prompt
        except ApiError as error:
            return error.shaped(anthropic.failure(error))
        return Reply(self.answers, prompt, asked.sampling, form, stream=asked.stream, usage=True)

    def _known(self, name: str) -> str:
        """The model's name, when it is the one that is meant. Raises ApiError."""
        model = str(self._model["id"])
        if name not in ("", model):
            raise ApiError(
                404, f"there is no model {name!r} here, only {model!r}", "model", "model_not_found"
            )
        return model

    async def _models(self, _: Request) -> Response:
        return json_response({"object": "list", "data": [self._model]})

    async def _named(self, request: Request) -> Response:
        self._known(request.path_params["name"])
        return json_response(self._model)

    async def _health(self, _: Request) -> Response:
        running = self.answers.running
        return json_response({"status": "ok" if running else "not running"}, 200 if running else 503)

    async def _measures(self, _: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def _defect(self, _: Request, error: Exception) -> Response:
        """An error of ours: the client learns that it was, the console what it was."""
        text = clean_line(f"{type(error).__name__}: {error}")
        self._engine.bus.publish(ev.Alert(t=time.time(), level="error", subject="api", text=text))
        return ApiError(500, "an error of the server's own").response


async def _nowhere(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}").response

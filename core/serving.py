"""The API's switch in a live console: on loopback, for programs of this computer."""

from __future__ import annotations

import asyncio
import importlib
import os
import time

from core import events as ev
from core.api.answers import Engine

HOST, PORT = "127.0.0.1", 52415


class Serving:
    """Serves at most once at a time. A token is asked for where EXO_TUI_TOKEN names one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._over: asyncio.Event | None = None
        self._model = ""

    @property
    def on(self) -> bool:
        """It serves, or is about to."""
        return self._over is not None

    def end(self) -> None:
        """Let `run` return."""
        if self._over is not None:
            self._over.set()

    def consider(self, model: str) -> None:
        """End when another model is chosen: nobody shall get its words for those of the one served."""
        if self.on and model != self._model:
            self.end()
            told = f"{self._model} is served no more; {model} can be"
            self._engine.bus.publish(ev.Alert(t=time.time(), level="warning", subject="api", text=told))

    async def run(self, model: str) -> None:
        """Serve until told to end; what comes of it is published."""
        over = self._over = asyncio.Event()
        self._model = model
        publish = self._engine.bus.publish
        try:
            # The server takes a quarter of a second to import, which is not the event loop's.
            await asyncio.to_thread(importlib.import_module, "core.api.server")
            from core.api.server import ServeError, bind, serving, url

            token = os.environ.get("EXO_TUI_TOKEN", "")
            try:
                bound = bind(HOST, PORT, token)
            except ServeError:  # another console has it: any other port does too
                bound = bind(HOST, 0, token)
            with bound:
                async with serving(bound, self._engine, model, token):
                    publish(ev.ApiServed(t=time.time(), url=url(bound), token=bool(token)))
                    await over.wait()
        finally:
            self._over = None
            publish(ev.ApiServed(t=time.time()))

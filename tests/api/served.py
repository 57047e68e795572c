"""`exo-tui serve` at work, as its clients and its system see it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
from openai import AsyncOpenAI, OpenAI
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.e2e.commandline import CommandLine
from tests.e2e.until import LIMIT_S, soon

GREEDY = {"temperature": 0.0}
ENDLESS: dict[str, Any] = {
    "max_tokens": 3000,
    "temperature": 1.0,
    "seed": 1,
    "extra_body": {"ignore_eos": True},
}
"""More than any test waits for."""


class Served:
    """A server and the ways to it."""

    def __init__(
        self, process: subprocess.Popen[str], url: str, model: str, token: str, recording: Path | None
    ) -> None:
        self.process, self.url, self.model, self.token = process, url, model, token
        self.recording = recording
        """Where all that happens is written."""
        self.address = url.removeprefix("http://").removesuffix("/v1")

    def client(self, **more: Any) -> OpenAI:
        """OpenAI's client, which does not try again by itself."""
        settings: dict[str, Any] = {"timeout": LIMIT_S, "max_retries": 0, **more}
        return OpenAI(base_url=self.url, api_key=self.token or "none", **settings)

    def async_client(self, **more: Any) -> AsyncOpenAI:
        settings: dict[str, Any] = {"timeout": LIMIT_S, "max_retries": 0, **more}
        return AsyncOpenAI(base_url=self.url, api_key=self.token or "none", **settings)

    def http(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one plain request."""
        connection = http.client.HTTPConnection(self.address, timeout=LIMIT_S)
        known = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        given = {name.replace("_", "-").title(): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, known | given)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def post(self, path: str, document: object) -> tuple[int, dict[str, Any]]:
        """Status and answer of a JSON document, or of bytes that are meant to be one."""
        body = document if isinstance(document, bytes) else msgspec.json.encode(document)
        status, _, answer = self.http("POST", path, body)
        return status, msgspec.json.decode(answer)

    def figures(self) -> dict[str, float]:
        """/metrics: values by name and, in braces, the values of its labels in the order of their names."""
        _, headers, text = self.http("GET", "/metrics")
        assert headers["content-type"].startswith("application/openmetrics-text")
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                labels = ",".join(value for _, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    def at_work(self) -> int:
        """Requests that wait or are being answered."""
        now = self.figures()
        return int(now["exo_tui_queue"] + now["exo_tui_batch{prefill}"] + now["exo_tui_batch{decode}"])

    async def reaches(self, so: Callable[[dict[str, float]], bool], what: str) -> None:
        """Wait until the server's own figures say `so`."""
        await soon(lambda: so(self.figures()), what)

    @property
    def memory(self) -> int:
        """Bytes the server holds."""
        return psutil.Process(self.process.pid).memory_info().rss


def cancelled(figures: dict[str, float]) -> float:
    """How many requests of the API have been cancelled so far."""
    return figures.get("exo_tui_requests_total{api,cancel}", 0.0)


@contextmanager
def serving(
    exo: CommandLine, model: object, *args: object, token: str = "", recording: Path | None = None
) -> Iterator[Served]:
    """A server; at the end ctrl+c if it is still there. Nothing may be left."""
    if token:
        exo.env["EXO_TUI_TOKEN"] = token
    recorded = ("--record", recording) if recording else ()
    with exo.started("serve", model, "--port", 0, *args, *recorded) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.fullmatch(r"exo-tui: (.+) is served at (http://\S+)\n", line)
        assert found is not None, line + process.stderr.read()
        yield Served(process, found[2], found[1], token, recording)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            _, err = process.communicate(timeout=LIMIT_S)
            assert (process.returncode, err) == (130, "exo-tui: interrupted\n")
        exo.leaves_nothing()

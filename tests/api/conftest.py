"""Two servers for these tests: a tiny model with random weights, and one that always says the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.served import Served, serving
from tests.e2e.commandline import CommandLine
from tests.tiny_models import TOOLS, build, build_parrot

TOKEN = "opensesame"
WORDS = (
    "<think>",
    "Hm.",
    "</think>",
    "Sure: ",
    "<tool_call>",
    '{"name": "look_up", "arguments": {"word": "sky"}}',
    "</tool_call>",
)


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("llama", tmp_path_factory.mktemp("api") / "tiny", TOOLS)


@pytest.fixture(scope="package")
def command(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return _command(tmp_path_factory.mktemp("command"))


@pytest.fixture(scope="package")
def server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two devices, a token, and a recording."""
    folder = tmp_path_factory.mktemp("served")
    where = ("--demo-devices", 2, "--split", "2,4")
    with serving(_command(folder), tiny, *where, token=TOKEN, recording=folder / "served.exo") as made:
        yield made


@pytest.fixture(scope="package")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One device, no token; it thinks, says and calls WORDS."""
    model = build_parrot(WORDS, tmp_path_factory.mktemp("api") / "parrot")
    with serving(_command(tmp_path_factory.mktemp("parrot")), model, "--demo-devices", 1) as made:
        yield made


def _command(folder: Path) -> CommandLine:
    return CommandLine({"HOME": str(folder), "EXO_TUI_CACHE": str(folder / "cache")}, folder)

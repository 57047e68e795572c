"""Models made once a session, what one process says of them, and a command line of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from core.models import demo
from tests.e2e import one_process
from tests.e2e.adverts import Adverts
from tests.e2e.commandline import CommandLine
from tests.e2e.processes import AGENT, SERVER, WORKER, below
from tests.tiny_models import build

PROMPT = "Why is the sky blue?"
COUNT = 20


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the demo model in its cache."""
    made = tmp_path_factory.mktemp("home")
    asyncio.run(demo.ensure(made / "cache", print))
    return made


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a tiny model by family."""
    root = tmp_path_factory.mktemp("tiny")
    return cache(lambda family: build(family, root / family))


@pytest.fixture(scope="session")
def directory(home: Path, tiny: Callable[[str], Path]) -> Callable[[str], Path]:
    """The directory of `demo` or of a tiny model."""
    return lambda model: home / "cache" / "models" / demo.NAME if model == "demo" else tiny(model)


@pytest.fixture(scope="session")
def alone(directory: Callable[[str], Path]) -> Callable[[str], list[int]]:
    """Greedy ids of a single-process mlx_lm in answer to PROMPT."""

    @cache
    def answer(model: str) -> list[int]:
        command = [sys.executable, one_process.__file__, str(directory(model)), PROMPT, str(COUNT)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        ids = json.loads(done.stdout)
        assert len(set(ids)) > COUNT // 2, "the output is too monotonous to prove anything"
        return ids

    return answer


@pytest.fixture
def exo(home: Path, tmp_path: Path) -> Iterator[CommandLine]:
    """The command line. Whatever a test does with it, nothing may be left alive at its end."""
    made = CommandLine({"HOME": str(home), "EXO_TUI_CACHE": str(home / "cache")}, tmp_path)
    yield made
    made.leaves_nothing()


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    assert not below(AGENT, SERVER, WORKER)


@pytest.fixture
async def adverts() -> AsyncIterator[Adverts]:
    """What is announced while the test runs."""
    async with Adverts() as heard:
        yield heard

"""The package as it is shipped, tiny models, and what mlx_lm alone says to them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm.generate import generate_step
from mlx_lm.utils import load_model

import core.worker
from tests.tiny_models import EOS, build
from tests.worker.cluster import Cluster

# Longer than gpt_oss's window (32) and than two prefill chunks (16).
PROMPT = [3 + (i * 37 + i * i) % 500 for i in range(45)]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """core/worker under the name and in the place it has on a device."""
    target = tmp_path_factory.mktemp("shipped") / "worker"
    source = Path(core.worker.__file__).parent
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("models")
    return cache(lambda name: build(name, root / name))


@pytest.fixture(scope="session")
def alone(model: Callable[[str], Path]) -> Callable[..., list[int]]:
    """Greedy ids of a single-process mlx_lm after a prompt, without the end-of-sequence id."""

    @cache
    def run(name: str, count: int, prompt: tuple[int, ...] = tuple(PROMPT)) -> list[int]:
        mx.disable_compile()  # on a CPU each new kernel is a call of g++
        whole, _ = load_model(model(name))
        ids: list[int] = []
        for token, _ in generate_step(mx.array(prompt), whole, max_tokens=count):
            if token == EOS:
                break
            ids.append(int(token))
        assert count < 48 or len(set(ids)) > 10, "the output is too monotonous to prove anything"
        return ids

    return run


@pytest.fixture
def cluster(package: Path, model: Callable[[str], Path], tmp_path: Path) -> Callable[..., Cluster]:
    """A cluster not yet started: `cluster("llama", [3, 3], backend="ring")`."""
    return lambda name, split, backend="sockets": Cluster(package, tmp_path, model(name), split, backend)

"""Every configuration that ranks can share, shared by 2 and by 4 of them: which say what one process says.

`python -m tests.bench.tensor [NAMES...]`. Real processes over MLX's ring; the fast subset is
tests/worker/test_worker_tensor.py.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

import mlx.core as mx
from mlx_lm.generate import generate_step
from mlx_lm.utils import load_model

import core.worker
from core.worker.divide import FAMILIES, refusal
from tests import families, tiny_models
from tests.worker.cluster import Cluster
from tests.worker.conftest import PROMPT

COUNT = 16


def alone(model: Path) -> list[int]:
    """Greedy tokens of one process."""
    whole, _ = load_model(model)
    return [int(token) for token, _ in generate_step(mx.array(PROMPT), whole, max_tokens=COUNT)]


async def shared(model: Path, folder: Path, layers: int, size: int) -> list[int]:
    """Greedy tokens of `size` ranks, each with a part of every layer."""
    package = folder / "worker"
    if not package.exists():
        shutil.copytree(Path(core.worker.__file__ or "").parent, package)
    ranks = Cluster(package, folder, model, [layers] * size, "ring")
    ranks.extra = {"mode": "tensor", "start": 0, "end": layers, "rings": ["127.0.0.1"] * size}
    async with ranks:
        return (await ranks.generate(PROMPT, COUNT, ignore_eos=True))[0]


def main() -> None:
    """Print a line a configuration and number of ranks."""
    mx.disable_compile()
    known = {**families.CONFIGS, **tiny_models.CONFIGS}
    able = [name for name, config in known.items() if config["model_type"] in FAMILIES]
    for name in sys.argv[1:] or able:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            model = tiny_models.build(name, folder / "model")
            config = json.loads((model / "config.json").read_text())
            layers = {**config, **config.get("text_config", {})}["num_hidden_layers"]
            for size in (2, 4):
                if reason := refusal(config, size):
                    print(f"refused {name} x{size}: {reason}", flush=True)
                    continue
                try:
                    same = asyncio.run(shared(model, folder, layers, size)) == alone(model)
                    print(f"{'same' if same else 'OTHER':7} {name} x{size}", flush=True)
                except Exception as error:
                    print(f"NOT     {name} x{size}: {type(error).__name__}: {error}", flush=True)


if __name__ == "__main__":
    main()

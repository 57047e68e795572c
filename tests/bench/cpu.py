"""One rank on this machine's CPU: decode and prefill, with and without OpenBLAS and dequantised weights.

`python -m tests.bench.cpu [MODEL]`; without MODEL, the demo model. Best of four requests each.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import core.worker
import tests.worker.cluster
from core.models.demo import ensure
from tests.worker.cluster import Cluster

PROMPT = [3 + (i * 37 + i * i) % 400 for i in range(128)]
TOKENS = 24
tests.worker.cluster.LIMIT = 600.0
CASES = [("", "never"), (None, "never"), ("", "auto"), (None, "auto")]


async def measure(model: Path, blas: str | None, dequantise: str, threads: str | None) -> str:
    """A line about one case."""
    os.environ.pop("EXO_TUI_BLAS", None)
    os.environ.pop("OPENBLAS_NUM_THREADS", None)
    if blas is not None:
        os.environ["EXO_TUI_BLAS"] = blas
    if threads:
        os.environ["OPENBLAS_NUM_THREADS"] = threads
    layers = json.loads((model / "config.json").read_text())["num_hidden_layers"]
    with tempfile.TemporaryDirectory() as logs:
        package = Path(core.worker.__file__).parent
        cluster = Cluster(package, Path(logs), model, [layers])
        cluster.extra = {"room": (1 << 33) * (dequantise == "auto")}
        async with cluster as ranks:
            loaded = ranks.ranks[0].named("loaded")[0]
            answers = [
                (await ranks.generate([i + 3, *PROMPT], TOKENS, ignore_eos=True, chunk=128))[1]
                for i in range(4)
            ]
            prefill = max(one["prefill_tps"] for one in answers)
            decode = max(one["decode_tps"] for one in answers)
    figures = f"packed {loaded['packed_s']} s, float {loaded['float_s']} s" if loaded["packed_s"] else ""
    how = "float32" if loaded["dequantised"] else "packed"
    return (
        f"{loaded['blas'] or 'reference':10} threads {threads or 'all':4} {dequantise:6} {how:8} "
        f"prefill {prefill:7.1f} decode {decode:6.1f} tok/s  {figures}"
    )


async def main() -> None:
    """Print a line a case."""
    model = Path(sys.argv[1]) if len(sys.argv) > 1 else await ensure(Path.home() / ".cache/exo-tui", print)
    for threads in (None, "1"):
        for blas, dequantise in CASES:
            if threads is None or blas is None:
                print(await measure(model, blas, dequantise, threads), flush=True)


if __name__ == "__main__":
    asyncio.run(main())

"""What it costs to carry hand-overs through SSH: `python -m tests.lab.tunnel [ROUNDS]`, as root.

Two hosts with OpenSSH and the console that they are reached from, on one machine; a random model of 100 M
parameters, the same answer with and without, in turns. Ratios of one run mean something, its figures little.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from tests.bench.engine import HUNDRED_M
from tests.tiny_models import CONFIGS, build

from .cluster import Setup, device
from .conftest import started

PROMPT = "word " * 40
TOKENS = 32
FIGURES = ("decode_tps", "prefill_tps", "ttft_s")


def main() -> None:
    """Print a line a figure."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    CONFIGS["hundred_m"] = HUNDRED_M
    lab = started(2, [])
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = shutil.copytree(build("hundred_m", Path(folder) / "hundred_m"), lab.dir / "model")
        asked = ["--prompt", PROMPT, "--temp", "0", "--max-tokens", str(TOKENS), "--on", "h1,h2"]
        found: dict[str, list[dict[str, float]]] = {"--no-tunnel": [], "--tunnel": []}
        tokens: set[tuple[int, ...]] = set()
        for number in range(rounds):
            for way, told in found.items():
                setup = Setup(lab, f"{number}{way}", [device(one) for one in lab.machines], ["h1", "h2"])
                said = setup.start("run", model, *asked, "--split", "6,6", "--json", way).answer()
                tokens.add(tuple(said["tokens"]))
                told.append({name: said[name] for name in FIGURES})
    finally:
        lab.down()
    assert len(tokens) == 1, "they answered differently"
    for name in FIGURES:
        plain, carried = (statistics.median(one[name] for one in told) for told in found.values())
        print(f"{name:12} {plain:8.2f} as plain TCP {carried:8.2f} through SSH, ratio {carried / plain:.2f}")


if __name__ == "__main__":
    main()

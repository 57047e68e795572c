"""Every configuration there is, cut into three stages in this process: which give the whole model's logits.

`python -m tests.bench.families [TEST_MODELS_PY] [NAMES...]`: also the list `test_all_models` of mlx-lm's own
tests/test_models.py, which its source distribution has.
"""

from __future__ import annotations

import ast
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.families import CONFIGS
from tests.worker.split import difference


def theirs(path: Path) -> list[dict[str, Any]]:
    """The configurations in mlx-lm's test file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "test_configs":
            return eval(compile(ast.Expression(node.value), str(path), "eval"))
    raise SystemExit(f"no test_configs in {path}")


def main() -> None:
    """Print a line a configuration."""
    files = [Path(one) for one in sys.argv[1:] if one.endswith(".py")]
    names = [one for one in sys.argv[1:] if not one.endswith(".py")]
    configs = [*CONFIGS.values(), *(config for file in files for config in theirs(file))]
    same = 0
    for config in configs:
        name = config["model_type"]
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                cuts, worst, merged = difference(config, Path(folder) / "model")
                same += worst == 0
                print(
                    f"{'same' if worst == 0 else f'OFF BY {worst:.2g}':8} {name} {cuts} merged: {merged:.2g}",
                    flush=True,
                )
            except Exception as error:
                print(f"NOT      {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{same} of {len(configs)} the same")


if __name__ == "__main__":
    main()

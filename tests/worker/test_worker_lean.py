"""A rank to which no text comes does without what only text needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEFORE = "import sys; from core.worker import lean"
AFTER = """
lean.import_mlx_lm()
from core.worker import stage, tensor
from mlx_lm.models import cache
print(getattr(sys.modules["transformers"], "__file__", "stands in") or "stands in")
"""


@pytest.mark.parametrize(
    ("wants", "transformers"),
    [
        ("", "stands in"),
        ("lean._Absent.__getattr__ = lambda *_: 1 / 0", "/transformers/__init__.py"),
        ("lean.NAMES = ('huggingface_hub',)", "/transformers/__init__.py"),
    ],
    ids=["as it is", "more than there is of a stand-in", "one of them"],
)
def test_what_only_text_needs_is_not_imported_unless_mlx_lm_wants_more_of_it(wants, transformers) -> None:
    script = f"{BEFORE}\n{wants}{AFTER}"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip().endswith(transformers)

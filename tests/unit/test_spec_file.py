"""A model's spec as a file, for planning without weights."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from core.models.spec import ModelError, ModelSpec, load

SPEC = ModelSpec(
    name="toy", path="/x", family="llama", layers=2, layer_bytes=(5, 5), embed_bytes=1, head_bytes=1,
    tied=False, hidden=8, heads=2, kv_heads=1, kv_bytes=(4, 4), windows=(None, 3), vocabulary=9, context=16,
)  # fmt: skip


def test_what_was_printed_is_read(tmp_path: Path) -> None:
    file = tmp_path / "toy.json"
    file.write_bytes(msgspec.json.encode(SPEC))
    assert load(file) == SPEC


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"layers": 0}, "one value a layer"),
        ({"layers": 3}, "one value a layer"),
        ({"layer_bytes": [5, -5]}, "negative"),
        ({"heads": 0}, "zero"),
        ({"windows": [None, 0]}, "zero"),
        ({"expert_bytes": [1, 1], "experts": 2, "experts_used": 3}, "3 of 2 experts"),
        ({"hidden": "wide"}, "Expected `int`"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(tmp_path: Path, change, complaint: str) -> None:
    file = tmp_path / "toy.json"
    file.write_bytes(msgspec.json.encode(msgspec.to_builtins(SPEC) | change))
    with pytest.raises(ModelError, match=complaint):
        load(file)

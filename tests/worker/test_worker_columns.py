"""How a stage lays out its matrices in memory: read off the buffers, as MLX tells no strides."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.utils import load_model

from core.worker import columns
from core.worker.stage import Stage
from tests.families import BASE
from tests.worker.split import write

LAYERS = 3
LLAMA = BASE | {
    "model_type": "llama",
    "num_hidden_layers": LAYERS,
    "vocab_size": 128,
    "intermediate_size": 96,
}


def turned(stage: Stage) -> set[str]:
    """The tensors it holds that lie column by column."""
    found = set()
    for name, one in stage._held.items():
        if one.ndim == 2:
            down, across = np.array(one, copy=False).strides
            assert one.itemsize in (down, across)
            if down < across:
                found.add(name)
    return found


def layers(first: int, end: int) -> set[str]:
    matrices = {f"self_attn.{one}_proj" for one in "qkvo"} | {
        f"mlp.{one}_proj" for one in ("gate", "up", "down")
    }
    return {f"model.layers.{at}.{one}.weight" for at in range(first, end) for one in matrices}


@pytest.mark.parametrize(("tied", "head"), [(True, "model.embed_tokens.weight"), (False, "lm_head.weight")])
def test_what_is_multiplied_by_lies_column_by_column(tied: bool, head: str, tmp_path: Path) -> None:
    path = write(LLAMA | {"tie_word_embeddings": tied}, tmp_path / "model")
    spans = [(0, 2), (2, LAYERS), (0, LAYERS)]
    stages = [Stage(path, *span, lambda *_: None) for span in spans]
    heads = [set(), {head}, {head}]
    assert [turned(one) for one in stages] == [
        layers(*span) | more for span, more in zip(spans, heads, strict=True)
    ]
    flat = tree_flatten(load_model(path)[0].parameters())
    for stage in stages:
        assert all(mx.array_equal(one, stage._held[name]) for name, one in flat if name in stage._held)


def test_a_matrix_stays_whose_copy_would_take_more_than_a_share_and_little_more(tmp_path: Path) -> None:
    wide = LLAMA | {"vocab_size": 4096, "tie_word_embeddings": False}
    path = write(wide, tmp_path / "model")
    last = Stage(path, LAYERS - 1, LAYERS, lambda *_: None)
    assert 2 * last._held["lm_head.weight"].nbytes > columns.PEAK * last.weights
    assert turned(last) == layers(LAYERS - 1, LAYERS)


def test_a_bias_is_added_in_the_order_that_mlx_lm_adds_it_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(LLAMA | {"attention_bias": True}, tmp_path / "model")
    biased = {one for one in layers(0, LAYERS) if "self_attn" in one}
    for blas, missing in (("", biased), ("OpenBLAS", set())):
        monkeypatch.setattr(columns, "blas", lambda blas=blas: blas)
        assert layers(0, LAYERS) - turned(Stage(path, 0, LAYERS, lambda *_: None)) == missing


def test_half_precision_stays_as_it_is(tmp_path: Path) -> None:
    path = write(LLAMA, tmp_path / "model")
    for file in path.glob("*.safetensors"):
        mx.save_safetensors(str(file), {n: one.astype(mx.float16) for n, one in mx.load(str(file)).items()})
    stage = Stage(path, 0, LAYERS, lambda *_: None)
    assert stage.dtype == mx.float16
    assert turned(stage) == set()

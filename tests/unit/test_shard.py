"""The files of one stage: what mlx-lm reads of them is what it reads of the whole model."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest

from core.models.error import ModelError
from core.models.shard import WEIGHTS, Shard, needed, shard
from core.models.spec import ModelSpec, read
from tests.tiny_models import LAYERS, build
from tests.unit.modelfiles import LLAMA, llama, model, safetensors


@pytest.fixture(scope="module", params=["llama", "llama_q4"])
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return read(build(request.param, tmp_path_factory.mktemp("model") / request.param))


def _written(made: Shard, folder: Path) -> Path:
    for content in made.contents:
        data = b"".join(content.blocks(1000))
        assert len(data) == content.size
        (folder / content.name).write_bytes(data)
    return folder


def test_stages_hold_every_tensor_of_the_model_as_it_is(spec: ModelSpec, tmp_path: Path) -> None:
    whole = dict(mx.load(f"{spec.path}/{WEIGHTS}"))
    seen: set[str] = set()
    for at, (start, end) in enumerate([(0, 2), (2, 3), (3, LAYERS)]):
        folder = tmp_path / str(at)
        folder.mkdir()
        made = shard(spec, start, end)
        part = dict(mx.load(str(_written(made, folder) / WEIGHTS)))
        assert {name for name in whole if needed(name, spec, start, end)} == set(part)
        assert all(mx.array_equal(one, whole[name]) for name, one in part.items())
        assert {"config.json", "tokenizer.json"} < {content.name for content in made.contents}
        seen |= set(part)
    assert seen == set(whole)


def test_a_middle_stage_has_neither_embedding_nor_head(spec: ModelSpec) -> None:
    names = [f"model.layers.{i}.mlp.up_proj.weight" for i in range(LAYERS)]
    names += ["model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"]
    assert [one for one in names if needed(one, spec, 2, 3)] == [names[2], "model.norm.weight"]
    assert needed("model.embed_tokens.weight", spec, 0, 1) and needed("lm_head.weight", spec, 3, LAYERS)


def test_the_last_stage_of_a_tied_model_has_the_embedding_too(tmp_path: Path) -> None:
    tensors = {name: one for name, one in llama().items() if name != "lm_head.weight"}
    tied = read(model(tmp_path, LLAMA | {"tie_word_embeddings": True}, tensors))
    assert needed("model.embed_tokens.weight", tied, 1, 2)


def test_the_name_tells_models_and_stages_apart(spec: ModelSpec, tmp_path: Path) -> None:
    first = shard(spec, 0, 2).name
    assert first == shard(spec, 0, 2).name != shard(spec, 0, 3).name
    one = read(model(tmp_path / "same", LLAMA, llama()))
    named = shard(one, 0, 1).name
    safetensors(tmp_path / "same" / WEIGHTS, llama("F32"))
    assert shard(one, 0, 1).name != named


def test_the_name_tells_texts_of_one_length_apart(tmp_path: Path) -> None:
    one = read(model(tmp_path, LLAMA, llama()))
    named = shard(one, 0, 1).name
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("4096", "8192"))
    assert shard(one, 0, 1).name != named


def test_a_model_gone_meanwhile_is_said(tmp_path: Path) -> None:
    spec = read(model(tmp_path, LLAMA, llama()))
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(ModelError, match="holds no model"):
        shard(spec, 0, 1)

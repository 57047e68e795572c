"""What is no model is refused, in one line that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from modelfiles import LLAMA, llama, model
from msgspec.structs import replace

from core.models.spec import ModelError, read


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as raised:
        read(path)
    assert str(raised.value).isprintable(), "one line, and nothing that drives a terminal"
    return str(raised.value)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return model(tmp_path / "tiny", LLAMA, llama())


def test_caches_that_are_not_quantised_are_refused_by_name(tmp_path: Path) -> None:
    spec = read(model(tmp_path, LLAMA, llama()))
    for change, what in (({"latent": True}, "a latent cache"), ({"windows": (None, 8)}, "a sliding window")):
        with pytest.raises(ModelError, match=f"llama.*{what}"):
            replace(spec, **change).packed(4)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent") == f"{tmp_path / 'absent'} is not a directory"


def test_a_directory_without_config_json_is_refused(tiny: Path) -> None:
    (tiny / "config.json").unlink()
    assert refusal(tiny) == f"{tiny} holds no config.json"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "\x00", "[" * 100_000, '{"model_type": 1, "num_hidden_layers": 2}'],
    ids=range(7),
)
def test_a_config_that_is_no_config_is_refused(tiny: Path, text: str) -> None:
    (tiny / "config.json").write_text(text)
    assert "config.json" in refusal(tiny)


@pytest.mark.parametrize("value", ["many", -1, 0, 10**9, 1.5, True], ids=str)
def test_a_layer_count_that_cannot_be_is_refused(tiny: Path, value: object) -> None:
    (tiny / "config.json").write_text(json.dumps(LLAMA | {"num_hidden_layers": value}))
    assert "config.json does not describe a model" in refusal(tiny)


@pytest.mark.parametrize("key", ["num_hidden_layers", "model_type", "hidden_size", "num_attention_heads"])
def test_a_config_without_a_key_that_matters_is_refused_by_that_key(tiny: Path, key: str) -> None:
    (tiny / "config.json").write_text(json.dumps({k: v for k, v in LLAMA.items() if k != key}))
    message = refusal(tiny)
    assert str(tiny / "config.json") in message
    assert key in message


def test_infinity_in_a_config_is_let_pass(tiny: Path) -> None:
    (tiny / "config.json").write_text(json.dumps(LLAMA | {"time_step_limit": [0.0, float("inf")]}))
    assert read(tiny).layers == 2


def test_a_directory_without_weights_is_refused(tiny: Path) -> None:
    (tiny / "model.safetensors").unlink()
    assert refusal(tiny) == f"{tiny} holds no model*.safetensors"


@pytest.mark.parametrize("kept", [0, 7, 8, 20, -1], ids=lambda n: f"{n} bytes")
def test_a_truncated_weight_file_is_refused(tiny: Path, kept: int) -> None:
    weights = tiny / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    assert f"{weights} is truncated" in refusal(tiny)


@pytest.mark.parametrize(
    "content",
    [
        b"<html><body>not found</body></html>",
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"\xff\xfe\x00\x01",
        (11).to_bytes(8, "little") + b'{"a": 1.5} ',
        (54).to_bytes(8, "little") + b'{"a": {"dtype":"F32","shape":[1],"data_offsets":[4,0]}}'[:54],
        (55).to_bytes(8, "little") + b'{"a": {"dtype":"F32","shape":[1],"data_offsets":[4,0]}}',
    ],
    ids=range(6),
)
def test_a_weight_file_that_is_something_else_is_refused(tiny: Path, content: bytes) -> None:
    (tiny / "model.safetensors").write_bytes(content)
    assert str(tiny / "model.safetensors") in refusal(tiny)


@pytest.mark.parametrize("name", ["model-00002-of-00002.safetensors", "../model.safetensors"])
def test_an_index_that_names_a_file_not_there_is_refused(tiny: Path, name: str) -> None:
    (tiny.parent / "model.safetensors").touch()
    index = tiny / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": name}}))
    message = refusal(tiny)
    assert str(index) in message
    assert name in message


@pytest.mark.parametrize("text", ["", "{}", '{"weight_map": []}', '{"weight_map": {}}'])
def test_an_unreadable_index_is_refused(tiny: Path, text: str) -> None:
    (tiny / "model.safetensors.index.json").write_text(text)
    assert "model.safetensors.index.json" in refusal(tiny)


def test_a_layer_without_weights_is_refused(tmp_path: Path) -> None:
    tensors = llama(layers=3)
    path = model(tmp_path, LLAMA | {"num_hidden_layers": 4}, tensors)
    assert refusal(path) == f"{path} has no weights of layer 3; its config.json says 4 layers"


def test_a_layer_more_than_the_config_says_is_refused(tmp_path: Path) -> None:
    path = model(tmp_path, LLAMA, llama(layers=3))
    assert refusal(path) == f"{path} has weights of layer 2, but its config.json says 2 layers"

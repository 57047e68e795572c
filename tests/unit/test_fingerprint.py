"""A fingerprint says which weights were measured, and whether it has seen all of them."""

from __future__ import annotations

from pathlib import Path

from core.models.fingerprint import fingerprint, told


def model(folder: Path, weights: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_single_changed_byte_of_a_small_model_changes_it(tmp_path: Path) -> None:
    weights = bytes(range(256)) * 2000
    whole = fingerprint(model(tmp_path / "a", weights))
    assert whole == fingerprint(model(tmp_path / "b", weights))
    for place in (0, len(weights) // 3, len(weights) - 1):
        other = weights[:place] + b"\xff\x00"[weights[place] == 0xFF :][:1] + weights[place + 1 :]
        assert fingerprint(model(tmp_path / "c", other)) != whole
    assert told(whole, 8) == f"sha256 {whole[:8]}"


def test_that_of_a_large_model_says_that_it_samples(tmp_path: Path) -> None:
    weights = bytes(1001)
    sampled = fingerprint(model(tmp_path / "a", weights), 1000)
    assert told(sampled, 8).startswith("sha256 of samples ")
    assert fingerprint(model(tmp_path / "b", bytes(1000) + b"x"), 1000) != sampled
    assert told(fingerprint(tmp_path / "absent"), 8) == "no fingerprint"

"""Which directory a model's name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.folders import typed
from core.models.catalog import below, resolve
from core.models.spec import ModelError


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.delenv("HF_HOME", raising=False)
    return cache


def cached(hub: Path, name: str, commit: str = "0a1b2c") -> Path:
    repository = hub / name
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return snapshot


def test_an_existing_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    assert resolve(str(tmp_path)) == tmp_path


def test_a_hub_id_is_found_in_the_cache_the_environment_names(hub: Path) -> None:
    snapshot = cached(hub, "models--mlx-community--Qwen3-0.6B-4bit")
    assert resolve("mlx-community/Qwen3-0.6B-4bit") == snapshot


def test_hf_home_is_used_where_no_hub_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    snapshot = cached(tmp_path / "home" / "hub", "models--org--name")
    assert resolve("org/name") == snapshot


def test_the_users_own_cache_is_used_where_the_environment_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    snapshot = cached(tmp_path / ".cache" / "huggingface" / "hub", "models--org--name")
    assert resolve("org/name") == snapshot


def test_of_several_snapshots_the_one_main_names_is_taken(hub: Path) -> None:
    snapshot = cached(hub, "models--org--name", "bbbb")
    (snapshot.parent / "aaaa").mkdir()
    (snapshot.parent / "cccc").mkdir()
    assert resolve("org/name") == snapshot


def test_a_model_that_is_nowhere_is_refused_with_the_place_searched(hub: Path) -> None:
    with pytest.raises(ModelError, match=r"^org/absent is neither .*hub$") as raised:
        resolve("org/absent")
    assert str(hub) in str(raised.value)


@pytest.mark.parametrize("name", ["gpt2", "../absent", "a/b/c", "", "org/name\x1b[31m"])
def test_what_is_neither_directory_nor_hub_id_is_refused_in_one_clean_line(name: str) -> None:
    with pytest.raises(ModelError, match="no directory") as raised:
        resolve(name)
    assert str(raised.value).isprintable()


def test_a_cached_model_without_a_main_reference_is_refused(hub: Path) -> None:
    (cached(hub, "models--org--name").parents[1] / "refs" / "main").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        resolve("org/name")


@pytest.mark.parametrize("commit", ["ffff", "../../..", ""])
def test_a_main_reference_that_leads_nowhere_is_refused(hub: Path, commit: str) -> None:
    (cached(hub, "models--org--name").parents[1] / "refs" / "main").write_text(commit)
    with pytest.raises(ModelError, match="snapshot"):
        resolve("org/name")


def test_a_path_of_nobodys_and_one_that_cannot_be_looked_at_are_not_there(tmp_path: Path) -> None:
    for name in ("~nobody-here/model", "x" * 300):
        with pytest.raises(ModelError, match="no directory"):
            resolve(name)
    assert below(tmp_path / ("x" * 300)) == []
    assert typed("~nobody-here/id") == Path("~nobody-here/id")

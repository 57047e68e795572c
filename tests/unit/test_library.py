"""Models as they would be run: with their cache in as many bits as was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.bus import Bus
from core.config import Config
from core.library import Library
from core.wish import Wish
from tests.unit import modelfiles


async def test_a_model_chosen_in_the_console_has_its_cache_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = modelfiles.model(tmp_path / "models" / "plain", modelfiles.LLAMA, modelfiles.llama())
    sliding = modelfiles.LLAMA | {"model_type": "gpt_oss", "sliding_window": 32, "head_dim": 8}
    modelfiles.model(tmp_path / "models" / "sliding", sliding, modelfiles.plain(2))
    bus = Bus()
    library = Library(bus, Config(tmp_path, tmp_path, data=tmp_path), Wish(kv_bits=8), {})
    assert not await library.add(str(tmp_path / "models"))
    found = {model.name: model for model in await library.all()}
    assert found["plain"].spec is not None and found["plain"].spec.kv_bits == 8
    assert "mlx-lm does not quantise the cache of a sliding window" in found["sliding"].problem
    library.use(str(plain))
    state = await bus.until(lambda state: state.model is not None)
    assert state.model == found["plain"].spec
    await library.close()

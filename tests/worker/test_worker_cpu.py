"""A rank on a CPU: the BLAS it finds, and quantised weights as float32 where that was asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import dequantize_model, load_model

from core.worker import dequantise, guard
from core.worker.stage import Stage
from tests.families import CONFIGS
from tests.worker.conftest import PROMPT
from tests.worker.split import write

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")


@linux
def test_a_blas_is_added_to_what_is_preloaded_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_cpu_only", lambda: True)
    monkeypatch.setattr(guard, "_openblas", lambda: "/lib/b.so")
    assert guard.faster({"LD_PRELOAD": "a.so"})["LD_PRELOAD"] == "a.so:/lib/b.so"
    assert guard.faster({})["LD_PRELOAD"] == "/lib/b.so"
    assert guard.faster({"EXO_TUI_BLAS": "c.so"})["LD_PRELOAD"] == "c.so"
    assert guard.faster({"EXO_TUI_BLAS": ""}) == {}
    assert "OPENBLAS_THREAD_TIMEOUT" not in guard.faster({"OPENBLAS_THREAD_TIMEOUT": "20"})
    monkeypatch.setattr(guard, "_openblas", lambda: None)
    assert guard.faster({}) == {}
    monkeypatch.setattr(guard, "_cpu_only", lambda: False)
    assert guard.faster({"EXO_TUI_BLAS": "c.so"}) == {}


@linux
@pytest.mark.parametrize("blas", [None, "", "/nowhere/libopenblas.so.0"])
async def test_a_rank_says_which_blas_it_has(blas, cluster, alone, monkeypatch: pytest.MonkeyPatch) -> None:
    if blas is not None:
        monkeypatch.setenv("EXO_TUI_BLAS", blas)
    async with cluster("llama", [6]) as ranks:
        assert (await ranks.generate(PROMPT))[0] == alone("llama", 48)
        found = "OpenBLAS" if blas is None and guard._openblas() else ""
        assert ranks.ranks[0].named("loaded")[0]["blas"] == found


async def test_weights_stay_packed_where_there_is_no_room_for_more(cluster, alone) -> None:
    async with cluster("llama_q4", [2, 4]) as ranks:
        assert (await ranks.generate(PROMPT))[0] == alone("llama_q4", 48)
        for one in ranks.ranks:
            [loaded] = one.named("loaded")
            assert (loaded["dequantised"], loaded["packed_s"], loaded["float_s"]) == (False, None, None)


async def test_with_openblas_what_was_measured_is_told_and_decides(cluster) -> None:
    ranks = cluster("llama_q4", [2, 4])
    ranks.extra = {"room": 1 << 33}
    async with ranks:
        for one in ranks.ranks:
            [loaded] = one.named("loaded")
            if loaded["blas"]:
                assert loaded["dequantised"] == (loaded["float_s"] < loaded["packed_s"])
            else:
                assert (loaded["dequantised"], loaded["float_s"], loaded["packed_s"]) == (False, None, None)
        assert (await ranks.generate(PROMPT, 8))[1]["tokens"] > 0


# Experts are packed in modules of mlx_lm's own; a stage with some stays as it is.
@pytest.mark.parametrize(
    ("name", "expected"),
    [("llama", [True, True]), ("deepseek_v3", [True, False]), ("qwen3_moe", [False, False])],
)
def test_dequantised_stages_are_the_dequantised_model(
    name: str, expected: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mx.disable_compile()
    path = write(CONFIGS[name], tmp_path / "model", bits=8)
    whole = dequantize_model(load_model(path)[0])
    times = iter([2.0, 1.0] * 2)
    monkeypatch.setattr(dequantise, "_seconds", lambda *_: next(times))
    monkeypatch.setattr(dequantise, "blas", lambda: "OpenBLAS")
    parts = [Stage(path, *span, lambda *_: None, 1 << 30) for span in ((0, 1), (1, 4))]
    assert [part.choice.dequantised for part in parts] == expected
    if all(expected):
        out = ids = mx.array([PROMPT])
        for part in parts:
            out = part.forward(out, part.caches())
        assert mx.array_equal(out, whole(ids, cache=make_prompt_cache(whole)))

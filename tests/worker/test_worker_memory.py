"""A rank reads its own tensors and holds no more than them, measured by the process that loads them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.families import BASE, CONFIGS
from tests.worker.split import write

ROOT = Path(__file__).parents[2]
WIDE = {"hidden_size": 384, "intermediate_size": 1024, "num_attention_heads": 8, "head_dim": 48}
WIDE |= {"num_hidden_layers": 12, "vocab_size": 2048}
MODELS = {
    "llama": BASE | WIDE | {"model_type": "llama"},
    "qwen3_moe": BASE | WIDE | {"model_type": "qwen3_moe", "moe_intermediate_size": 256},
    "mamba2": CONFIGS["mamba2"] | WIDE | {"num_heads": 12, "head_dim": 64, "intermediate_size": 768},
}
CHILD = """
import json, sys
from pathlib import Path
import mlx.core as mx
from core.worker.stage import Stage
def read():
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(lines[0].split()[1])
def resident():
    return next(int(l.split()[1]) for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l)
path, start, end, memory = sys.argv[1:]
if int(memory):  # as if it had measured that float32 is faster
    from core.worker import dequantise
    times = iter([2.0, 1.0])
    dequantise._seconds = lambda *_: next(times)
    dequantise.blas = lambda: "OpenBLAS"
mx.disable_compile()
before, grown = read(), resident()
mx.reset_peak_memory()
stage = Stage(Path(path), int(start), int(end), lambda *_: None, int(memory))
print(json.dumps({
    "share": stage.weights, "peak": mx.get_peak_memory(), "active": mx.get_active_memory(),
    "read": read() - before, "resident": (resident() - grown) * 1024,
    "dequantised": stage.choice.dequantised,
}))
"""


def load(path: Path, start: int, end: int, memory: int = 0) -> dict[str, float]:
    """What loading layers [start, end) took."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, path, str(start), str(end), str(memory)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what a process reads")
@pytest.mark.parametrize(("name", "bits"), [("llama", 0), ("llama", 4), ("qwen3_moe", 0), ("mamba2", 0)])
def test_loading_takes_the_share_and_little_more(name: str, bits: int, tmp_path: Path) -> None:
    path = write(MODELS[name], tmp_path / "model", bits=bits)
    whole = sum(one.stat().st_size for one in path.glob("*.safetensors"))
    spans = [(0, 3), (3, 10), (10, 12)]
    found = [load(path, *span) for span in spans]
    for one in found:
        assert one["peak"] <= 1.15 * one["share"]
        # Config files and the list of tensors are read too, and by the process other things are allocated.
        assert one["read"] <= 1.15 * one["share"] + 2e6
        assert one["resident"] <= 1.15 * one["share"] + 25e6
    assert sum(one["share"] for one in found) <= 1.02 * whole
    assert max(one["peak"] for one in found) < 0.75 * whole


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what a process reads")
def test_dequantising_keeps_to_the_share_and_to_the_memory_given(tmp_path: Path) -> None:
    path = write(MODELS["llama"], tmp_path / "model", bits=4)
    # Above the share there is a layer in both forms: of so small a model, one in ten.
    packed, plain = load(path, 0, 10), load(path, 0, 10, 1 << 30)
    assert (packed["dequantised"], plain["dequantised"]) == (False, True)
    assert plain["share"] > 5 * packed["share"]
    assert plain["peak"] <= 1.15 * plain["share"]
    assert plain["read"] <= 1.15 * packed["share"] + 2e6
    tight = load(path, 0, 10, int(packed["share"]) + 1)
    assert (tight["dequantised"], tight["share"]) == (False, packed["share"])

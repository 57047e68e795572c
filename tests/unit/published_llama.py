"""What others measured with llama.cpp and programs like it, and the table of all published rows.

    python -m tests.unit.published_llama

The cost model's constants are MLX's. These programs have efficiencies of their own, fitted to their own
rows; what is tested is that the form of the model, and the table of chips, hold for machines of all sizes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import groupby
from statistics import median

from msgspec.structs import replace

from core.plan.chips import CHIPS, CONSTANTS, MEDIA
from core.plan.problem import Constants, Device, LayerRun, Model, Request
from tests.unit import published
from tests.unit.published import DEEPSEEK, FIXTURES, KIMI, QWEN, Row, in_turn, macs, priced

ETA_BW, ETA_BW_ULTRA = 0.90, 0.88
"""Weight efficiency, and below the seconds to launch a layer: least squares over discussion 4167."""
LAUNCH = 102e-6
ETA_FLOPS = {"F16": 0.74, "Q8_0": 0.68, "Q4_0": 0.67}
"""Share of the peak in prefill: one constant for each way to store weights, the median of the same rows."""
BYTES = {"F16": 13.48e9, "Q8_0": 7.16e9, "Q4_0": 3.83e9}
"""Files of LLaMA 7B."""
MOST_CORES = {
    "M1": 8, "M1 Pro": 16, "M1 Max": 32, "M1 Ultra": 64, "M2": 10, "M2 Pro": 19, "M2 Max": 38, "M2 Ultra": 76,
    "M3": 10, "M3 Pro": 18, "M3 Max": 40, "M3 Ultra": 80, "M4": 10, "M4 Pro": 20, "M4 Max": 40,
}  # fmt: skip
"""GPU cores of the chip that the table of chips describes."""
RTX_2080_TI = Device(id="desktop", mem=11e9, bw=616e9, flops=13.4e12, eta_bw=ETA_BW)


def file_of(size: float, layers: int, hidden: int, cache: int) -> Model:
    """A dense model whose file of `size` bytes is read for every token, as llama.cpp launches it."""
    return Model(
        hidden=hidden, n_heads=32, n_kv_heads=8, embed_bytes=0, head_bytes=0,
        layers=(
            LayerRun(
                count=layers, dense_bytes=size / layers, kv_bytes=cache, flops=2 * 6.74e9 / layers,
                overhead=LAUNCH,
            ),
        ),
    )  # fmt: skip


def alone(model: Model, device: Device, request: Request, constants: Constants = CONSTANTS) -> float:
    """Seconds of a step on one device."""
    costs = priced(model, [device], request, "loopback", tensor=True, constants=constants)
    return costs.total([0], [0, costs.depth])


def scoreboard() -> Iterator[Row]:
    """llama.cpp discussion 4167: LLaMA 7B, 512 tokens of prompt, 128 decoded, on 28 Apple GPUs. Bandwidth as
    the discussion gives it; the peak of smaller GPUs is the table's, by their cores."""
    with (FIXTURES / "llama-cpp-4167.csv").open() as file:
        for entry in csv.DictReader(file):
            name, cores = entry["chip"], int(entry["gpu_cores"])
            chip = CHIPS[name]
            device = Device(
                id=name, mem=1e12, bw=float(entry["GB/s"]) * 1e9, flops=chip.flops * cores / MOST_CORES[name],
                overhead_scale=chip.overhead_scale, eta_bw=ETA_BW_ULTRA if "Ultra" in name else ETA_BW,
            )  # fmt: skip
            for stored, size in BYTES.items():
                model = file_of(size, 32, 4096, 32 * 128 * 2 * 2)
                what = f"{name} {cores} cores, 7B {stored}"
                if entry[stored]:
                    speed = 1 / alone(model, device, Request(context=64))
                    yield Row("llama.cpp #4167", what, float(entry[stored]), speed, "fitted")
                if entry[f"{stored} prefill"]:
                    prefill = Request(objective="prefill", prompt=512, chunk=512)
                    constants = replace(CONSTANTS, eta_flops=ETA_FLOPS[stored])
                    speed = 512 / alone(model, device, prefill, constants)
                    measured = float(entry[f"{stored} prefill"])
                    yield Row("llama.cpp #4167 prefill", what, measured, speed, "fitted")


def llama_cpp_rpc() -> Iterator[Row]:
    """The models of exo's charts under llama.cpp's RPC, a pipeline over TCP in which the first machine talks
    to each server: what a further server adds is one hand-over, the 4 ms fitted to these rows. The speed of
    one machine is taken as measured (Kimi K2: of two), so they test that hand-overs add up."""
    constants = replace(CONSTANTS, sync=4e-3 - MEDIA["thunderbolt"].lat, token_overhead=0)
    for model, single, rows in (
        (QWEN, 1 / 20.4, {2: 17.2, 4: 15.2}),
        (DEEPSEEK, 1 / 14.8, {2: 16.0, 4: 14.6}),
        (KIMI, 1 / 18.5 - 4e-3, {4: 16.4}),
    ):
        default = 1 / in_turn(model, macs("M3 Ultra"), 512, constants)
        for count, measured in rows.items():
            # All of a machine's time scaled as one: its bandwidth, its launches.
            machine = macs("M3 Ultra")[0]
            slower = single / default
            devices = [
                replace(
                    machine,
                    id=f"mac{i}",
                    bw=machine.bw / slower,
                    overhead_scale=machine.overhead_scale * slower,
                )
                for i in range(count)
            ]
            predicted = in_turn(model, devices, 512, constants, back=False)
            yield Row("llama.cpp RPC", f"{model.name} on {count}", measured, predicted, "hand-over fitted")


def prima_cpp() -> Iterator[Row]:
    """prima.cpp's README, the column of llama.cpp: models that the desktop's RTX 2080 Ti (616 GB/s) holds
    whole, with the constants above, which were fitted to Apple's chips alone."""
    for name, size, layers, hidden, measured in (
        ("Qwen 2.5 7B", 4.68e9, 28, 3584, 14),
        ("R1-Distill-Qwen-7B", 4.68e9, 28, 3584, 14),
        ("Llama 3 8B", 4.92e9, 32, 4096, 15),
        ("R1-Distill-Llama-8B", 4.92e9, 32, 4096, 14),
        ("Qwen 2.5 14B", 8.99e9, 48, 5120, 23),
        ("R1-Distill-Qwen-14B", 8.99e9, 48, 5120, 24),
    ):
        seconds = alone(file_of(size, layers, hidden, 4096), RTX_2080_TI, Request(context=256))
        what = f"{name} Q4K on one 2080 Ti, milliseconds a token"
        yield Row("prima.cpp README", what, measured, seconds * 1e3)
    yield Row(
        "prima.cpp README", "Llama 3 70B over four devices, milliseconds a token", 674, None,
        "layers are read from disks while others run; the model knows no disks",
    )  # fmt: skip


def edge_shard() -> Iterator[Row]:
    """EdgeShard (arXiv 2405.14371)."""
    yield Row(
        "EdgeShard", "Llama 2 in float32 over Jetsons and a 3090, milliseconds a token", 75.88, None,
        "PyTorch on CUDA over links of 1 to 50 Mbit/s: no efficiency is known for either",
    )  # fmt: skip


def rows() -> Iterator[Row]:
    """All of them."""
    for source in (
        published.charts, published.glm_5, published.glm_47, published.issue_2070, published.speed_ups,
        llama_cpp_rpc, scoreboard, prima_cpp, edge_shard,
    ):  # fmt: skip
        yield from source()


def spread(errors: Iterable[float]) -> tuple[float, float]:
    """Median and largest error, whatever its sign."""
    sizes = [abs(error) for error in errors]
    return median(sizes), max(sizes)


def main() -> None:
    """Print the table, source by source."""
    for source, found in groupby(sorted(rows(), key=lambda row: row.source), key=lambda row: row.source):
        known = list(found)
        print(f"\n{source}")
        for row in known:
            said = "not applied" if row.predicted is None else f"{row.predicted:8.1f} {row.error:+6.1%}"
            print(f"  {row.what:62} {row.measured:8.1f} measured {said:16} {row.note}")
        if applied := [row.error for row in known if row.predicted is not None]:
            middle, most = spread(applied)
            print(f"  {len(applied)} rows: {middle:.1%} median, {most:.1%} most")


if __name__ == "__main__":
    main()

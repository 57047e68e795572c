"""Every constant of the cost model, each with where it comes from.

"Fit" are least squares over published MLX measurements of others (17 single-Mac decode points from 0.6B
to 671B; Rapid-MLX's community benchmarks; exo's benchmark charts and issues 1468, 2070, 2295). Nothing
here was measured on a Mac by this project; measurements on the user's own devices replace these priors.
"""

from __future__ import annotations

import re

import msgspec

from core.plan.problem import Constants

CONSTANTS = Constants(
    # Share of the memory bandwidth that reading weights reaches. Fit; llama.cpp's table of 27 Apple
    # chips (discussion 4167) gives 0.83 to 0.90.
    eta_bw=0.83,
    # The same for the KV cache. Rapid-MLX, 512 against 2048 tokens: 0.28 to 0.40; GLM-5 at 10k and 50k
    # tokens (exo issue 1468).
    eta_kv=0.40,
    # Share of the dense-matmul peak in prefill. Rapid-MLX, M3 Ultra, four models: 0.70 to 0.79.
    eta_flops=0.78,
    # A hand-over evaluates the graph on both sides (exo auto_parallel.py; issues 2070, 2295).
    sync=0.6e-3,
    # Fit: 0.07 ms.
    token_overhead=0.1e-3,
    # An all-reduce of four over an RDMA mesh takes 32 us where one of two takes 20. Fit over 7 systems.
    rdma_fan=0.30,
    # Inferred, for a Metal process with mlx_lm imported and its buffers warm.
    runtime_bytes=2e9,
    # The output projection in prefill. Fit.
    head_flops_per_byte=3.5,
)

MLA_KV_READ = 1.8
"""Latent attention reads its cache so many times over. GLM-5 decode at 10k and 50k (exo issue 1468)."""
MOE_FLOPS = 1.8
"""What routing costs a mixture-of-experts layer in prefill, as a factor. GLM-5 prefill (exo issue 1468)."""
OVERHEAD_DENSE = 36e-6
"""Seconds to launch one layer's kernels on an M4 Max. Fit, as the next two."""
OVERHEAD_MOE = 90e-6
OVERHEAD_MOE_MLA = 150e-6


class Chip(msgspec.Struct, frozen=True):
    """Memory bandwidth in bytes/s, dense-matmul peak in FLOP/s, launch overhead relative to an M4 Max."""

    name: str
    bw: float
    flops: float
    overhead_scale: float
    known: bool = True
    """False for the stand-in of a chip that is not in the table."""


def _chips() -> dict[str, Chip]:
    # GB/s from Apple's specifications of each Mac. TFLOPS: GPU cores x 128 lanes x 2 x clock, fp32, which
    # MLX prefill reaches 64 to 79 % of; for M5 fitted from Apple's 4.06x time to first token over M4,
    # checked with llama.cpp pp512 on M5 Max. Overhead: fit (M1 and M2: one model each; M3: inferred).
    table = """
        M1  68.25 2.6  1.75 | M1 Pro 200 5.2  1.75 | M1 Max 400 10.4 1.75 | M1 Ultra 800 20.8 1.85
        M2  100   3.6  1.75 | M2 Pro 200 6.8  1.75 | M2 Max 400 13.6 1.75 | M2 Ultra 800 27.2 1.85
        M3  100   4.1  1.2  | M3 Pro 150 7.4  1.2  | M3 Max 400 16.4 1.2  | M3 Ultra 819 28.3 1.85
        M4  120   4.6  1    | M4 Pro 273 9.2  1    | M4 Max 546 18.4 1
        M5  153.6 15.6 1    | M5 Pro 307 31   1    | M5 Max 614 62   1
    """
    chips: dict[str, Chip] = {}
    for entry in re.split(r"[|\n]", table):
        if fields := entry.split():
            *name, bandwidth, teraflops, scale = fields
            key = " ".join(name)
            chips[key] = Chip(key, float(bandwidth) * 1e9, float(teraflops) * 1e12, float(scale))
    return chips


CHIPS = _chips()
_FEWER_CORES = {
    # The smaller of two GPUs, told apart by the CPU cores sold with it (Apple's specifications).
    ("M3 Max", 14): Chip("M3 Max 30c", 300e9, 12.3e12, 1.2),
    ("M3 Ultra", 28): Chip("M3 Ultra 60c", 819e9, 21.2e12, 1.85),
    ("M4 Pro", 12): Chip("M4 Pro 16c", 273e9, 7.4e12, 1.0),
    ("M4 Max", 14): Chip("M4 Max 32c", 410e9, 14.7e12, 1.0),
}
PROCESSOR = Chip("processor", 8e9, 40e9, 6.0, known=False)
"""Stand-in for a machine without a chip of the table: a guess at MLX on a few cores of a processor, of the
order of what SmolLM2-135M decodes at on two. Plans say so, and the first run replaces it."""


def chip(name: str, cores: int = 0) -> Chip:
    """The chip a system names, such as `Apple M4 Max` with so many CPU cores; a stand-in when unknown."""
    match = re.search(r"\bM[1-9]\d?\b(?: (?:Pro|Max|Ultra))?", name)
    key = match[0] if match else ""
    return _FEWER_CORES.get((key, cores)) or CHIPS.get(key) or PROCESSOR


class Medium(msgspec.Struct, frozen=True):
    """One-way latency in seconds as a rank inside MLX sees it, which is not a ping's; bytes/s."""

    lat: float
    bw: float
    rdma: bool = False


MEDIA: dict[str, Medium] = {
    # omar-karray/mlx-jaccl-cluster on M4 Pro: 25.5 us at 4 KB, 6.7 GB/s at 4 MB.
    "rdma": Medium(20e-6, 7.0e9, rdma=True),
    # Thunderbolt bridge: round trips of 0.38 to 0.95 ms (exo issue 2295); file copies of 3.5 GB/s
    # (mlx issue 3207) on Thunderbolt 5, iperf3 16.4 Gbit/s on 4.
    "thunderbolt": Medium(350e-6, 2.0e9),
    # Inferred: 1 Gbit/s, the least a cable gives; no measurement on Macs was found.
    "ethernet": Medium(400e-6, 0.115e9),
    # Round trips of 5 to 54 ms (exo issue 2295).
    "wifi": Medium(6e-3, 6e7),
    "vpn": Medium(10e-3, 2e7),
    # A guess at TCP between two processes of one machine; it is always measured before it matters.
    "loopback": Medium(50e-6, 2e9),
    "unknown": Medium(400e-6, 0.115e9),
}
SLOW = 2e-3
"""A medium unknown by name with a one-way latency above this is taken for wireless."""

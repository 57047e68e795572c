"""What others measured with MLX on clusters of Macs, beside what the cost model says of the same machines.

Nothing here was measured by this project, which had no Mac. Contexts are as published; where nothing is
said of them 512 tokens are assumed, and 8192 for exo issue 2070. `tests.unit.published_llama` has the rows
of other programs and prints them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from core.plan.chips import CHIPS, CONSTANTS, MEDIA, MLA_KV_READ, MOE_FLOPS, OVERHEAD_DENSE, OVERHEAD_MOE_MLA
from core.plan.cost import Costs, works
from core.plan.instance import decode
from core.plan.problem import Caps, Constants, Device, LayerRun, Link, Model, Problem, Request

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
KNOWN = {p.id: p.model for p in decode((FIXTURES / "plan-instances.json").read_bytes())}
QWEN, DEEPSEEK, KIMI, LLAMA, GPT_OSS, GLM_47 = (KNOWN[f"p{n}"] for n in ("18", "20", "25", "01", "14", "08"))


class Row(NamedTuple):
    """A published figure and the model's. `predicted` is None where the model cannot be applied."""

    source: str
    what: str
    measured: float
    predicted: float | None
    note: str = ""

    @property
    def error(self) -> float:
        """Prediction over measurement, less one; in speed, for times as well."""
        assert self.predicted is not None
        ratio = self.predicted / self.measured
        return 1 / ratio - 1 if "seconds" in self.what else ratio - 1


# Models


def eight_bit(model: Model) -> Model:
    """A model of 4-bit groups of 64 with 8-bit ones."""
    return _scaled(model, 8.5 / 4.5)


def sixteen_bit(model: Model) -> Model:
    """A model of 8-bit groups of 64 in bfloat16."""
    return _scaled(model, 16 / 8.5)


def _scaled(model: Model, factor: float) -> Model:
    layers = tuple(
        replace(run, dense_bytes=run.dense_bytes * factor, expert_bytes=run.expert_bytes * factor)
        for run in model.layers
    )
    head = model.head_bytes * factor
    return replace(model, embed_bytes=model.embed_bytes * factor, head_bytes=head, layers=layers)


def _glm_5() -> Model:
    """GLM-5 in MXFP8, by its published config: 8 bits a weight and one scale for 32; 767 GB, as announced."""
    hidden, heads, byte = 6144, 64, 8.25 / 8
    every = hidden * 2048 + hidden * (512 + 64)  # queries and cache squeezed: whole on every member
    shared = 2048 * heads * 256 + 512 * heads * (192 + 256) + heads * 256 * hidden
    expert = 3 * hidden * 2048

    def run(count: int, feed: int, experts: int) -> LayerRun:
        active = every + shared + feed + (8 * expert if experts else 0)
        return LayerRun(
            count=count,
            dense_bytes=(shared + feed) * byte,
            repl_bytes=every * byte + (2 * hidden * 256 if experts else 0),
            expert_bytes=experts * expert * byte,
            n_experts=experts,
            top_k=8 if experts else 0,
            kv_bytes=2 * (512 + 64),
            kv_read_scale=MLA_KV_READ,
            flops=2 * active * (MOE_FLOPS if experts else 1),
            attn_flops=4 * heads * 256,
            overhead=OVERHEAD_MOE_MLA if experts else OVERHEAD_DENSE,
        )

    vocabulary = 154880 * hidden * byte
    layers = (run(3, 3 * hidden * 12288, 0), run(75, expert, 256))
    return Model(
        name="glm-5", hidden=hidden, n_heads=heads, n_kv_heads=heads, kv_shardable=False,
        embed_bytes=vocabulary, head_bytes=vocabulary, layers=layers,
    )  # fmt: skip


GLM_5 = _glm_5()


# Predictions


def macs(*chips: str) -> tuple[Device, ...]:
    """Devices of these chips with memory for anything."""
    return tuple(
        Device(
            id=f"mac{i}", mem=1e13, bw=CHIPS[name].bw, flops=CHIPS[name].flops,
            overhead_scale=CHIPS[name].overhead_scale,
        )
        for i, name in enumerate(chips)
    )  # fmt: skip


def priced(
    model: Model,
    devices: Sequence[Device],
    request: Request,
    medium: str,
    *,
    tensor: bool,
    constants: Constants,
) -> Costs:
    """Cost tables of one tensor group of all devices, or of each alone."""
    wire = MEDIA[medium]
    links = tuple(
        Link(a=a.id, b=b.id, lat=wire.lat, bw=wire.bw, rdma=wire.rdma) for a, b in combinations(devices, 2)
    )
    problem = Problem(
        model=model, devices=tuple(devices), links=links, request=request, constants=constants,
        caps=Caps(tensor=True),
    )  # fmt: skip
    ((_, work),) = works(problem)
    places = range(len(devices))
    return Costs(problem, work, [tuple(places)] if tensor else [(i,) for i in places])


def together(model: Model, devices: Sequence[Device], context: float = 512, medium: str = "rdma") -> float:
    """Tokens a second of all devices as one tensor group; of one device alone."""
    costs = priced(model, devices, Request(context=context), medium, tensor=True, constants=CONSTANTS)
    return 1 / costs.total([0], [0, costs.depth])


def ultras(model: Model, count: int, context: float = 512) -> float:
    """Tokens a second of so many M3 Ultras over RDMA."""
    return together(model, macs(*["M3 Ultra"] * count), context)


def in_turn(
    model: Model,
    devices: Sequence[Device],
    context: float,
    constants: Constants = CONSTANTS,
    *,
    back: bool = True,
) -> float:
    """Tokens a second of a pipeline with equal parts over Thunderbolt; `back`: the token is sent back."""
    costs = priced(model, devices, Request(context=context), "thunderbolt", tensor=False, constants=constants)
    order, count = range(len(devices)), len(devices)
    cuts = [round(costs.depth * i / count) for i in range(count + 1)]
    return 1 / (costs.total(order, cuts) - (0 if back else costs.hop_times(order)[-1]))


def first_token(model: Model, count: int, prompt: int) -> float:
    """Seconds to the first token on so many M3 Ultras over RDMA, as one group: its chunks do not overlap."""
    request = Request(objective="prefill", prompt=prompt)
    devices = macs(*["M3 Ultra"] * count)
    costs = priced(model, devices, request, "rdma", tensor=True, constants=CONSTANTS)
    return -(-prompt // int(request.chunk)) * costs.total([0], [0, costs.depth])


# Rows


def charts() -> Iterator[Row]:
    """exo's benchmark charts by Jeff Geerling (docs/benchmarks/jeffgeerling of the exo repository): M3 Ultra
    with 80 GPU cores, tensor parallel over RDMA. The DeepSeek bars must be 4-bit: at 8 bits the model does
    not fit one of these Macs. The single-Mac rows are among those the constants were fitted to, and the
    all-reduce was fitted to Qwen3; the rest is prediction."""
    for model, bits, bars in (
        (QWEN, 8, {1: 19.5, 2: 26.2, 4: 31.9}),
        (DEEPSEEK, 4, {1: 21.1, 2: 27.8, 4: 32.5}),
        (KIMI, 4, {2: 21.6, 4: 28.3}),
    ):
        for count, measured in bars.items():
            fitted = "fitted" if count == 1 or model is QWEN else ""
            yield Row(
                "exo charts", f"{model.name} {bits}-bit on {count}", measured, ultras(model, count), fitted
            )


def glm_5() -> Iterator[Row]:
    """exo issue 1468: M3 Ultra 512 GB, tensor parallel over RDMA. The cache's efficiency, what latent
    attention reads and what routing costs in prefill were fitted to some of these rows."""
    for count, context, measured in (
        (2, 0, 18.3),
        (2, 10e3, 16.7),
        (2, 50e3, 12.5),
        (4, 0, 23.7),
        (4, 10e3, 21.3),
    ):
        # 256 tokens were decoded after the context: it grew by 128 on the mean.
        what = f"GLM-5 8-bit on {count}, context {context:.0f}"
        yield Row("exo#1468", what, measured, ultras(GLM_5, count, context + 128))
    for count, prompt, measured in ((2, 10_000, 43.3), (2, 50_000, 394.8), (4, 10_000, 27.9)):
        what = f"GLM-5 8-bit on {count}, seconds for a prompt of {prompt}"
        yield Row("exo#1468 prefill", what, measured, first_token(GLM_5, count, prompt))


def glm_47() -> Iterator[Row]:
    """mlx-lm pull request 698: GLM-4.7 on M3 Ultra; "16 or so" on one. How it was stored is not said; in
    4 bits the model would be 45 % off, so 8 are assumed."""
    for count, measured in ((1, 16.0), (4, 24.6)):
        what = f"GLM-4.7 8-bit on {count}"
        yield Row("mlx-lm#698", what, measured, ultras(eight_bit(GLM_47), count), "bits not stated")


def issue_2070() -> Iterator[Row]:
    """exo issue 2070: gpt-oss-120b on M4 Max and M5 Max, Thunderbolt 5; figures are "about"."""
    pair, context = macs("M4 Max", "M5 Max"), 8192
    name = "gpt-oss-120b on M4 Max + M5 Max"
    yield Row(
        "exo#2070", f"{name}, pipeline over TCP", 68, in_turn(GPT_OSS, pair, context), "context not stated"
    )
    yield Row(
        "exo#2070",
        f"{name}, MLX tensor over RDMA",
        98,
        together(GPT_OSS, pair, context),
        "context not stated",
    )
    yield Row(
        "exo#2070", f"{name}, exo tensor over RDMA", 48, None,
        "same machines and cable as the row before: what is slow is the executor, not the hardware",
    )  # fmt: skip


def speed_ups() -> Iterator[Row]:
    """exo's README: 1.8 times as fast on two devices, 3.2 times on four; of which model is not said. Dense
    ones of 70B in 8 and 16 bits meet it; in 4 bits they come to 2.4 on four, and experts to 1.6."""
    for model in (LLAMA, sixteen_bit(LLAMA)):
        for count, claimed in ((2, 1.8), (4, 3.2)):
            bits = round(8 * sum(run.count * run.dense_bytes for run in model.layers) / 68.5e9)
            what = f"dense 70B, {bits}-bit on {count}: times as fast"
            yield Row("exo README", what, claimed, ultras(model, count) / ultras(model, 1))

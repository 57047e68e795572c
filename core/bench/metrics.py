"""The quantities a benchmark reports, each by somebody's published definition. Pure; durations in seconds.

Times are those at which the console sent a request and got its tokens, as a client sees them; a rank's own
clock is beside them in the recording (`events.RequestDone`) to check them by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from core.bench.stats import mean, quantile
from core.bench.suite import Goal, Point


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One request, measured."""

    prompt: int
    """Tokens of the prompt, those found in a cache included."""
    reused: int
    tokens: int
    ttft_s: float | None
    """Time to first token, from sending the request to receiving the first one (vLLM's `bench serve`)."""
    gaps_s: tuple[float, ...]
    """Inter-token latencies: from each token to the next (ITL of vLLM's `bench serve`)."""
    ids_sha256: str = ""
    """Of the tokens, to see whether two plans wrote the same."""
    told_decode_tps: float | None = None
    """What rank 0 says of its own decoding, by its own clock."""
    error: str = ""

    @property
    def prefill_tps(self) -> float | None:
        """Prompt tokens that were not in a cache, over the time to the first token, as mlx_lm's prompt_tps:
        with the sampling of that token, which llama-bench's pp leaves out."""
        return (self.prompt - self.reused) / self.ttft_s if self.ttft_s else None

    @property
    def decode_tps(self) -> float | None:
        """Tokens after the first, over the time from the first to the last: the inverse of vLLM's TPOT.
        mlx_lm counts the first token too, which makes its figure 1/n larger for n tokens."""
        spent = sum(self.gaps_s)
        return (self.tokens - 1) / spent if spent > 0 and self.tokens > 1 else None

    @property
    def total_s(self) -> float | None:
        """End to end: from sending the request to its last token (E2EL of vLLM's `bench serve`)."""
        return None if self.ttft_s is None else self.ttft_s + sum(self.gaps_s)

    def good(self, goal: Goal) -> bool:
        """Whether it kept to both goals, TTFT and TPOT (Zhong et al. 2024, DistServe)."""
        if self.error or self.ttft_s is None:
            return False
        rate = self.decode_tps
        return self.ttft_s <= goal.ttft_s and (rate is None or 1 / rate <= goal.token_s)


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Where one rank's time went during a trial, and the most memory MLX held."""

    rank: int
    device: str
    compute_s: float
    wait_s: float
    """For a neighbour's hidden states or token: the time these are under way is in it."""
    peak: int
    send_s: float = 0.0
    """Handing over to a neighbour, until the network took it all."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One repeat of a point: `point.concurrency` requests sent at once, to the last one's end."""

    plan: str
    """Name of the plan in its suite; the split where there is no suite."""
    split: str
    """Device and layers of each rank: `a 12 / b 10`."""
    launch: int
    """Which launch of the session this was measured in, from 0."""
    point: Point | None
    """None for a request that was no part of a suite."""
    repeat: int
    warmup: bool
    started: float
    """Unix time."""
    seconds: float
    """Wall time from the first request's start to the last one's end."""
    answers: tuple[Answer, ...]
    ranks: tuple[Share, ...] = ()
    joules: float | None = None
    """Drawn by the devices of the plan meanwhile; None unless every one of them tells its power."""

    @property
    def error(self) -> str:
        """What went wrong with the first request that failed."""
        return next((answer.error for answer in self.answers if answer.error), "")

    @property
    def aggregate_tps(self) -> float | None:
        """All tokens answered over the wall time of the trial, never a rate times the concurrency (output
        token throughput of vLLM's `bench serve`). Prefill is part of that time."""
        return sum(answer.tokens for answer in self.answers) / self.seconds if self.seconds > 0 else None

    @property
    def token_joules(self) -> float | None:
        """Energy over answered tokens, prefill's energy included: power of all the plan's devices, idle power
        too, averaged over the samples in the trial, times its wall time."""
        tokens = sum(answer.tokens for answer in self.answers)
        return self.joules / tokens if self.joules is not None and tokens else None

    def goodput(self, goal: Goal) -> float | None:
        """Requests a second that kept to the goals (Zhong et al. 2024, DistServe)."""
        good = sum(answer.good(goal) for answer in self.answers)
        return good / self.seconds if self.seconds > 0 else None


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a trial, how it is written, and which way is better."""

    key: str
    title: str
    unit: str
    more_is_better: bool
    of: Callable[[Trial], float | None]
    digits: int = 1


def _averaged(of: Callable[[Answer], float | None]) -> Callable[[Trial], float | None]:
    def figure(trial: Trial) -> float | None:
        values = [value for answer in trial.answers if (value := of(answer)) is not None]
        return mean(values) if values else None

    return figure


def _gap(share: float) -> Callable[[Trial], float | None]:
    def figure(trial: Trial) -> float | None:
        found = quantile([gap for answer in trial.answers for gap in answer.gaps_s], share)
        return None if found is None else found * 1e3

    return figure


DECODE = Metric(
    key="decode_tps", title="decode", unit="tok/s", more_is_better=True,
    of=_averaged(lambda answer: answer.decode_tps), digits=2,
)  # fmt: skip
PREFILL = Metric(
    key="prefill_tps", title="prefill", unit="tok/s", more_is_better=True,
    of=_averaged(lambda answer: answer.prefill_tps),
)  # fmt: skip
TTFT = Metric(
    key="ttft_s", title="TTFT", unit="s", more_is_better=False,
    of=_averaged(lambda answer: answer.ttft_s), digits=3,
)  # fmt: skip
AGGREGATE = Metric(
    key="aggregate_tps", title="all", unit="tok/s", more_is_better=True,
    of=lambda trial: trial.aggregate_tps, digits=2,
)  # fmt: skip
TOTAL = Metric(
    key="total_s", title="end to end", unit="s", more_is_better=False,
    of=_averaged(lambda answer: answer.total_s), digits=2,
)  # fmt: skip
GAPS = tuple(
    Metric(
        key=f"itl_p{percent}_ms", title=f"ITL p{percent}", unit="ms", more_is_better=False,
        of=_gap(percent / 100),
    )
    for percent in (50, 90, 99)
)  # fmt: skip
"""Percentiles within a trial. A p99 of few tokens is close to their maximum."""

ENERGY = Metric(
    key="token_joules", title="energy", unit="J/token", more_is_better=False,
    of=lambda trial: trial.token_joules, digits=2,
)  # fmt: skip

METRICS = (PREFILL, TTFT, DECODE, *GAPS, TOTAL, AGGREGATE, ENERGY)


def goodput(goal: Goal) -> Metric:
    """Goodput as a metric."""
    return Metric(
        key="goodput_rps", title="goodput", unit="req/s", more_is_better=True,
        of=lambda trial: trial.goodput(goal), digits=2,
    )  # fmt: skip


def telling(point: Point | None) -> Metric:
    """The figure a point is about: it decides when repeating ends, and what is compared first."""
    if point is not None and point.concurrency > 1:
        return AGGREGATE
    if point is not None and point.generate < 8:
        return PREFILL
    return DECODE


def values(metric: Metric, trials: Sequence[Trial]) -> list[float]:
    """The metric of every trial that has it."""
    return [value for trial in trials if (value := metric.of(trial)) is not None]

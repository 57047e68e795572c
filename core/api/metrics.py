"""What the server measures of itself and of the cluster, as OpenMetrics."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import (
    CONTENT_TYPE_LATEST,
    generate_latest,  # pyright: ignore[reportUnknownVariableType]
)
from prometheus_client.registry import Collector

from core import events as ev
from core.bus import Bus
from core.state import ClusterState

CONTENT_TYPE = CONTENT_TYPE_LATEST
FIRST_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
BETWEEN_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 5)


class Metrics:
    """Counts what happens on the bus; the rest is read from the state when somebody asks."""

    def __init__(self, bus: Bus) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=True)
        self._ended = Counter(
            "exo_tui_requests", "Requests that have ended", ["source", "why"], registry=registry
        )
        self._prompted = Counter("exo_tui_prompt_tokens", "Tokens of their prompts", registry=registry)
        self._reused = Counter("exo_tui_reused_tokens", "Of those, found in a cache", registry=registry)
        self._generated = Counter("exo_tui_generated_tokens", "Tokens of answers", registry=registry)
        self._first = Histogram(
            "exo_tui_time_to_first_token_seconds",
            "From a request's arrival to its first token",
            buckets=FIRST_S,
            registry=registry,
        )
        self._between = Histogram(
            "exo_tui_inter_token_latency_seconds",
            "From one token of an answer to the next",
            buckets=BETWEEN_S,
            registry=registry,
        )
        self._latest: dict[str, float] = {}
        """When the last token of an open request came."""
        registry.register(_Now(bus))
        self._bus = bus
        self._unsubscribe = bus.subscribe(self._hear)

    def end(self) -> None:
        """Count no more."""
        self._unsubscribe()

    def text(self) -> bytes:
        """All of it."""
        return cast("bytes", generate_latest(self._registry))

    def _hear(self, event: ev.AnyEvent) -> None:
        match event:
            case ev.TokensStreamed() if event.ids and event.request in self._bus.state.requests:
                self._generated.inc(len(event.ids))
                known, before = self._bus.state.requests[event.request], self._latest.get(event.request)
                if known.ids == event.ids:
                    self._first.observe(event.t - known.started)
                elif before is not None:  # not where another run, or console, has begun the answer
                    self._between.observe((event.t - before) / len(event.ids))
                self._latest[event.request] = event.t
            case ev.RequestDone():
                self._latest.pop(event.request, None)
                self._prompted.inc(event.prompt_tokens)
                self._reused.inc(event.reused_tokens)
                known = self._bus.state.requests.get(event.request)
                if known is not None:
                    self._ended.labels(known.source, event.why).inc()
            case _:
                pass


class _Now(Collector):
    """What is so at this moment."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def collect(self) -> Iterator[Metric]:
        state = self._bus.state
        yield from _requests(state)
        yield from _devices(state)
        yield from _ranks(state)
        yield from _links(state)


def _requests(state: ClusterState) -> Iterator[Metric]:
    counts = Tally(request.status for request in state.open)
    queue = GaugeMetricFamily("exo_tui_queue", "Requests that wait for their turn")
    queue.add_metric([], counts["waiting"])
    yield queue
    batch = GaugeMetricFamily("exo_tui_batch", "Requests being answered", labels=["phase"])
    for phase in ("prefill", "decode"):
        batch.add_metric([phase], counts[phase])
    yield batch


def _devices(state: ClusterState) -> Iterator[Metric]:
    used = GaugeMetricFamily("exo_tui_device_memory_used_bytes", "Memory in use", labels=["device"])
    limit = GaugeMetricFamily("exo_tui_device_memory_limit_bytes", "What ranks may use", labels=["device"])
    for device in state.devices.values():
        if device.sample is not None:
            used.add_metric([device.name], device.sample.memory_used)
            limit.add_metric([device.name], device.sample.memory_limit)
    yield used
    yield limit


def _ranks(state: ClusterState) -> Iterator[Metric]:
    memory = GaugeMetricFamily(
        "exo_tui_rank_memory_bytes", "MLX memory of a rank", labels=["rank", "device", "kind"]
    )
    for rank in state.run.ranks if state.run is not None else ():
        if rank.beat is not None and rank.exit is None:
            for kind, count in (
                ("active", rank.beat.active),
                ("peak", rank.beat.peak),
                ("cache", rank.beat.cache),
            ):
                memory.add_metric([str(rank.rank), rank.device, kind], count)
    yield memory


def _links(state: ClusterState) -> Iterator[Metric]:
    trip = GaugeMetricFamily(
        "exo_tui_link_rtt_seconds",
        "TCP round trip of 64 bytes, of the last burst",
        labels=["source", "target", "quantile"],
    )
    for link in state.links.values():
        if link.last is not None:
            trip.add_metric([link.source, link.target, "0.5"], link.last.p50_us / 1e6)
            trip.add_metric([link.source, link.target, "0.99"], link.last.p99_us / 1e6)
    yield trip

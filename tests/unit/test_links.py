"""Bursts, percentiles, pairs, and what addresses prove."""

from __future__ import annotations

import pytest

from core.events import LinkFailed, LinkMeasured
from core.probe import links
from core.probe.cables import Path, path
from core.probe.message import Probed
from core.wiring import LinkKind


def measured(burst: links.Burst) -> LinkMeasured | LinkFailed:
    return links.measured(
        burst, source="a", target="b", path=Path("ethernet", "eth0", "en2"), address="10.0.0.2", t=1.0
    )


def test_percentiles_are_measured_values() -> None:
    burst = links.burst(Probed("p", [float(n) for n in range(30, 0, -1)], sent=32, lost=2))
    event = measured(burst)
    assert isinstance(event, LinkMeasured)
    assert (event.min_us, event.p50_us, event.p99_us) == (1.0, 15.0, 30.0)
    assert (event.sent, event.received, event.address) == (32, 30, "10.0.0.2")
    assert (event.kind, event.source_interface, event.target_interface) == ("ethernet", "eth0", "en2")


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0)]
)
def test_the_nearest_rank_is_taken(share: float, value: float) -> None:
    assert links.percentile([float(n) for n in range(1, 101)], share) == value


def test_no_value_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        links.percentile([], 0.5)


def test_a_burst_without_an_answer_is_a_failed_link_with_its_reason() -> None:
    lost = measured(links.burst(Probed("p", [], sent=30, lost=30)))
    assert lost == LinkFailed(
        t=1.0,
        source="a",
        target="b",
        address="10.0.0.2",
        reason="none of 30 messages was answered in time",
    )
    refused = measured(links.burst(Probed("p", [], sent=0, lost=0, error="Connection\x1b[2J refused\n")))
    assert isinstance(refused, LinkFailed) and refused.reason == "Connection refused"


def test_counts_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="3 trips sent, but 1 answered and 1 lost"):
        links.burst(Probed("p", [1.0], sent=3, lost=1))


def test_each_pair_comes_once_by_name() -> None:
    assert links.pairs(["c", "a", "b", "a"]) == [("a", "b"), ("c", "a"), ("b", "c")]
    assert links.pairs(["a"]) == []


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ("127.0.0.1", "127.0.0.9", "loopback"),
        ("::1", "::1", "loopback"),
        ("192.168.1.5", "192.168.1.5", "loopback"),
        ("169.254.10.1", "169.254.20.1", "unknown"),
        ("192.168.1.5", "192.168.1.6", "unknown"),
        ("100.64.0.1", "100.127.255.254", "vpn"),
        ("fd7a:115c:a1e0::1", "fd7a:115c:a1e0::2", "vpn"),
        ("100.64.0.1", "192.168.1.6", "unknown"),
        ("100.64.0.1", "fd7a:115c:a1e0::2", "unknown"),
        ("fe80::1%3", "fe80::2%3", "unknown"),
        ("studio.local", "192.168.1.6", "unknown"),
    ],
)
def test_addresses_prove_only_what_they_prove(a: str, b: str, kind: LinkKind) -> None:
    assert path(None, a, None, b).kind == path(None, b, None, a).kind == kind

"""What is counted of the answers, and that nobody counts for a server that is gone."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from core import events as ev
from core.api.metrics import Metrics
from core.api.server import bind, serving
from core.bus import Bus


class Engine:
    def __init__(self) -> None:
        self.bus = Bus()

    def submit(self, *_: object) -> str:
        raise NotImplementedError

    def withdraw(self, _: str) -> None:
        raise NotImplementedError


def _seconds(metrics: Metrics, name: str) -> tuple[float, float]:
    """How many of a histogram, and their sum."""
    families = text_string_to_metric_families(metrics.text().decode())
    found = {one.name: one.value for family in families for one in family.samples}
    return found[f"exo_tui_{name}_seconds_count"], found[f"exo_tui_{name}_seconds_sum"]


def test_an_answer_gone_on_with_has_its_first_token_behind_it() -> None:
    bus = Bus()
    metrics = Metrics(bus)
    old = ev.Exchange(request="old", prompt="hi", started=1.0, text="x", ids=(7,))
    bus.publish(ev.ConversationOpened(t=9000.0, conversation="c", exchanges=(old,)))
    bus.publish(ev.RequestStarted(t=9000.0, request="new", conversation="c", prompt="hi"))
    for t, request in ((9001.0, "old"), (9002.0, "old"), (9003.0, "new"), (9005.0, "new")):
        bus.publish(ev.TokensStreamed(t=t, request=request, ids=(7,), text="x"))
    assert _seconds(metrics, "time_to_first_token") == (1, 3.0)
    assert _seconds(metrics, "inter_token_latency") == (2, 3.0)


async def test_a_server_that_is_gone_hears_nothing_any_more() -> None:
    engine = Engine()
    with bind("127.0.0.1", 0, "") as bound:
        async with serving(bound, engine, "toy", ""):
            assert engine.bus._listeners
    assert engine.bus._listeners == []

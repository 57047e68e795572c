"""What a recording says of itself, and how it is passed on."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import msgspec
import pytest

from core import events as ev
from core.bench import card, export, html
from core.bench.collect import collect
from core.bench.compare import Side, compare
from core.bench.metrics import DECODE, PREFILL, TTFT, values
from core.bench.report import Report, report
from core.bench.suite import Choosing, Goal, Suite
from core.bench.table import rows, shares
from core.plan.plan import Plan, Stage
from tests.unit.benches import SPEC, SUITE, T0, Made, plan

MANNER = "gpu, Python 3.12, mlx 0.32.4, mlx-lm 0.32.2"
HOSTILE = '<script>alert("x")</script>|\x1b[31m'


def made(**how: object) -> Report:
    return report(Made(**how).recording, "made.exo")  # type: ignore[arg-type]


def side(told: Report) -> Side:
    return Side(name=told.name, card=told.card, trials=told.trials)


def alone() -> Plan:
    return Plan(model="toy", layers=4, stages=(Stage("a", 0, 4),), context=4096, backend="sockets")


def altered(made: Made, kind: type[ev.AnyEvent], run: str, **changes: object) -> Report:
    """The report of a recording in which the events of a kind were otherwise in the runs named so."""
    made.events = [
        msgspec.structs.replace(event, **changes)
        if isinstance(event, kind) and getattr(event, "run", "").startswith(run)
        else event
        for event in made.events
    ]
    return report(made.recording, "altered.exo")


def on_card(of: Report, word: str) -> list[str]:
    """What the card says under a word."""
    return [text for name, text in card.lines(of.card) if name == word]


def against(one: Report, other: Report) -> tuple[str, str]:
    found = compare(side(one), side(other))
    return found.verdict, "\n".join(finding.text for finding in found.findings)


def test_figures_are_what_the_tokens_events_say() -> None:
    told = made(token_s=0.1, repeat_sd=0.0)
    short, long = told.rows
    assert (short.label, len(short.trials), short.split) == ("pp16 tg8", 5, "a 3 / b 1")
    assert short.figures["decode_tps"].mean == pytest.approx(10)
    assert short.figures["ttft_s"].mean == pytest.approx(0.4)
    assert long.figures["ttft_s"].mean == pytest.approx(0.8)
    assert short.figures["prefill_tps"].mean == pytest.approx(40)
    assert short.figures["itl_p99_ms"].mean == pytest.approx(100)
    assert short.figures["total_s"].mean == pytest.approx(0.4 + 0.7)
    assert short.figures["aggregate_tps"].mean == pytest.approx(8 / 1.1)
    assert short.peak == 300
    assert len(told.trials) == 12  # warm-ups are kept, and counted nowhere


def test_where_each_ranks_time_went_is_told_apart() -> None:
    told = made(token_s=0.1, repeat_sd=0.0, suite=Suite(name="s", prompt=(16,), generate=(8,)))
    first, last = shares(told.rows[0].trials)
    # 0.4 s to the first token and seven gaps; of what the first rank waited a quarter was handing over.
    assert first.compute_share == pytest.approx(0.6 / 1.1)
    assert (first.wait_share, first.transfer_share) == pytest.approx((0.075 / 1.1, 0.025 / 1.1))
    assert (last.compute_share, last.transfer_share) == (pytest.approx(0.1 / 1.1), 0)
    heads, body = export.spent(told.rows)
    assert heads == ["plan", "rank on", "busy", "waiting", "handing over", "peak"]
    assert body[0] == ["auto", "a", "55%", "7%", "2.3%", "300 B"]


def test_the_memory_of_every_rank_is_in_every_form_of_a_report() -> None:
    mixed = made(plans={"auto": (plan(), 0.1), "single": (alone(), 0.1)})
    assert [(row[0], row[1], row[-1]) for row in export.spent(mixed.rows)[1]] == [
        ("auto", "a", "300 B"),
        ("auto", "b", "100 B"),
        ("single", "a", "300 B"),
    ]
    for text in (export.markdown(mixed), html.page(mixed), "\n".join(export.text(mixed, 160))):
        assert "100 B" in text
    lines = csv.DictReader(io.StringIO(export.csv(mixed)))
    peaks = {(line["plan"], line["peak"], line["peak_rank0"], line["peak_rank1"]) for line in lines}
    assert peaks == {("auto", "300", "300", "100"), ("single", "300", "300", "")}
    results = json.loads(msgspec.json.encode(export.document(mixed)))["results"]
    assert [rank["peak"] for rank in results[0]["ranks"]] == [300, 100]


def test_requests_at_once_are_measured_over_wall_time() -> None:
    suite = Suite(name="s", prompt=(16,), generate=(8,), concurrency=(4,), goal=Goal(0.5, 0.2))
    told = made(suite=suite, token_s=0.1, repeat_sd=0.0)
    [row] = told.rows
    assert row.figures["aggregate_tps"].mean == pytest.approx(4 * 8 / 1.1)
    assert row.figures["goodput_rps"].mean == pytest.approx(4 / 1.1)
    slow = made(suite=suite, token_s=0.3, repeat_sd=0.0)
    assert slow.rows[0].figures["goodput_rps"].mean == 0


def test_energy_is_told_only_where_every_device_tells_its_power() -> None:
    def with_power(names: str) -> Report:
        events: list[ev.AnyEvent] = []
        for event in Made(repeat_sd=0.0).events:
            events.append(event)
            if isinstance(event, ev.TrialStarted):
                events += [
                    ev.DeviceSample(
                        t=event.t, device=n, memory_total=1, memory_used=1, memory_limit=1, power=30.0
                    )
                    for n in names
                ]
        return report(msgspec.structs.replace(Made().recording, events=tuple(events)), "x")

    assert "token_joules" not in with_power("a").rows[0].figures
    both = with_power("ab")
    assert both.rows[0].figures["token_joules"].mean == pytest.approx(60 * 1.1 / 8)
    assert "energy J/token" in export.cells(both)[0]
    assert "energy J/token" not in export.cells(with_power(""))[0]


def test_a_trial_that_others_disturbed_does_not_count() -> None:
    clean = Made()
    events = list(clean.events)
    at = next(i for i, event in enumerate(events) if isinstance(event, ev.TrialStarted) and not event.warmup)
    stranger = ev.RequestStarted(t=events[at].t, request="z", conversation="", prompt="hi", source="api")
    end = ev.RequestDone(t=events[at].t, request="z", why="stop")
    events[at + 1 : at + 1] = [stranger, end]
    disturbed = msgspec.structs.replace(clean.recording, events=tuple(events))
    assert len(report(disturbed, "x").trials) == len(report(clean.recording, "x").trials) - 1


def test_the_card_tells_what_a_reader_asks() -> None:
    card = made().card
    assert (card.model, card.quantization, card.suite_sha256) == ("toy", "4-bit g32", SUITE.sha256)
    assert card.cache == ("pp16 tg8: 0 of 16", "pp32 tg8: 0 of 32")
    [link] = card.links
    assert (link.kind, link.address, link.before_us, link.during_us) == ("thunderbolt", "10.0.1.2", 400, 420)
    assert link.used
    [measured] = card.plans
    assert (measured.split, measured.launches, measured.launch_s, measured.load_s) == ("a 3 / b 1", 1, 4, 1.5)
    assert re.fullmatch("[0-9a-f]{64}", measured.held_sha256)
    assert [(d.name, d.chip, d.load) for d in card.devices] == [
        ("a", "Apple M4", 0.1),
        ("b", "Apple M4", 0.1),
    ]
    assert card.sampling == Choosing()
    assert made().findings == ()


def test_the_card_tells_what_ranks_are_made_of_and_a_comparison_what_they_were_not() -> None:
    one, other = made(seed=1), altered(Made(seed=2), ev.RankHello, "", mlx="0.33.0", python="3.13")
    assert on_card(one, "ranks") == [f"a, b: {MANNER}"]
    assert on_card(other, "ranks") == ["a, b: gpu, Python 3.13, mlx 0.33.0, mlx-lm 0.32.2"]
    found = compare(side(one), side(other))
    assert [(d.what, d.first) for d in found.differences] == [("ranks on a", MANNER), ("ranks on b", MANNER)]
    assert [(f.weight, f.text) for f in found.findings] == [
        ("with care", "other versions of Python on the devices: 3.12 and 3.13"),
        ("with care", "other versions of mlx on the devices: 0.32.4 and 0.33.0"),
    ]


def test_ranks_that_were_not_alike_on_all_plans_are_told_with_their_plan() -> None:
    plans = {"auto": (plan(), 0.1), "even": (plan((2, 2)), 0.1)}
    mixed = altered(Made(plans=plans), ev.RankLoaded, "auto", blas="OpenBLAS", dequantised=True)
    assert on_card(mixed, "ranks") == [
        f"a in auto, b in auto: gpu, BLAS OpenBLAS, weights made float32{MANNER.removeprefix('gpu')}",
        f"a in even, b in even: {MANNER}",
    ]
    [found] = mixed.comparisons
    assert [d.what for d in found.differences] == ["plan", "ranks on a", "ranks on b"]
    assert [f.text for f in found.findings] == [
        "ranks on a, b computed otherwise: gpu, BLAS OpenBLAS, weights made float32 and gpu"
    ]


def test_ranks_that_were_not_alike_in_all_launches_are_told() -> None:
    suite = msgspec.structs.replace(SUITE, launches=2)
    mixed = altered(Made(suite=suite), ev.RankLoaded, "auto1", dequantised=True)
    assert [rank.dequantised for rank in mixed.card.plans[0].ranks] == [False, False, True, True]
    ways = f"{MANNER}; {MANNER.replace('gpu', 'gpu, weights made float32')}"
    assert [f.text for f in mixed.findings] == [
        f"auto: launches had other ranks on {name}: {ways}" for name in "ab"
    ]


def test_another_kv_cache_is_a_difference_and_asks_for_care() -> None:
    plain, packed = made(seed=1), altered(Made(seed=2), ev.ModelChosen, "", spec=SPEC.packed(4))
    assert ", KV cache not quantised, " in on_card(plain, "model")[0]
    assert ", KV cache in 4 bits, " in on_card(packed, "model")[0]
    found = compare(side(plain), side(packed))
    assert [(d.what, d.first, d.second) for d in found.differences] == [
        ("KV cache", "not quantised", "in 4 bits")
    ]
    assert [(f.weight, f.text) for f in found.findings] == [
        ("with care", "the KV cache was kept otherwise: not quantised and in 4 bits")
    ]


def test_the_card_is_of_the_model_that_was_measured() -> None:
    later = Made()
    later.events.append(ev.ModelChosen(t=later.t, spec=msgspec.structs.replace(SPEC, name="another")))
    assert report(later.recording, "x").card.model == "toy"


def test_the_card_of_a_second_suite_tells_nothing_of_the_first() -> None:
    first, second = Made(token_s=0.2), Made()
    middle = [
        ev.TrialStarted(t=first.t, plan="auto", launch=0, point=SUITE.points[0], repeat=9, warmup=False),
        ev.TrialDone(t=first.t, error="lost"),
    ]
    later = [msgspec.structs.replace(event, t=event.t - T0 + first.t) for event in second.events]
    events = (*first.events, *middle, *later)
    card = report(msgspec.structs.replace(second.recording, events=events), "x").card
    alone = report(second.recording, "x").card
    assert (card.trials, card.failed) == (alone.trials, 0)
    assert (card.plans, card.cache) == (alone.plans, alone.cache)


def test_what_must_not_be_compared_is_not() -> None:
    one = made(seed=1)
    assert against(one, made(seed=2)) == ("no difference shown", "")
    assert against(one, made(seed=2, model="ef" * 32))[0] == "not comparable"
    other_points = Suite(name="o", prompt=(64,), generate=(8,))
    verdict, why = against(one, made(suite=other_points))
    assert (verdict, "no point in common" in why) == ("not comparable", True)
    hot = msgspec.structs.replace(SUITE, sampling=Choosing(temperature=1.0))
    assert "another way" in against(one, made(suite=hot))[1]
    broken = Made(seed=2)
    broken.events.insert(3, ev.FaultInjected(t=T0, kind="freeze", target="b"))
    verdict, why = against(one, report(broken.recording, "broken.exo"))
    assert (verdict, "broken.exo: 1 faults" in why) == ("not comparable", True)
    jumped = Made(seed=2)
    jumped.events += [ev.Tick(t=jumped.t + 1), ev.Tick(t=jumped.t - 30)]
    assert "clock was set back by 32" in against(one, report(jumped.recording, "j"))[1]


def test_what_asks_for_care_is_said_and_compared() -> None:
    verdict, why = against(made(seed=1), made(seed=2, load=9.0))
    assert verdict == "no difference shown"
    assert "other load at the start: 0.1 and 9.0" in why


def test_runs_at_different_speeds_are_said_to_be_unsteady() -> None:
    calm, jumpy = made(seed=1), made(seed=2, repeat_sd=0.3)
    assert not any("not steady" in f.text for f in calm.findings)
    [found] = [f for f in jumpy.findings if "pp16" in f.text]
    assert found.weight == "with care"
    assert re.fullmatch(r"auto, pp16 tg8: not steady, its runs went from [\d.]+ to [\d.]+ tok/s", found.text)
    _, why = against(calm, jumpy)
    assert "made.exo: auto, pp16 tg8: not steady" in why


def test_a_trial_during_which_the_clock_was_set_back_does_not_keep_the_others_from_being_reported() -> None:
    one = Made(suite=Suite(name="s", prompt=(16,), generate=(4,)))
    events = list(one.events)
    at = [i for i, event in enumerate(events) if isinstance(event, ev.TrialStarted)][2]
    for i in range(at + 2, len(events)):  # from its first token on
        events[i] = msgspec.structs.replace(events[i], t=events[i].t - 60)
    told = report(msgspec.structs.replace(one.recording, events=tuple(events)), "x")
    [prefill] = [values(PREFILL, row.trials) for row in told.rows]
    assert sum(value > 0 for value in prefill) == 4
    assert not any("not steady" in finding.text for finding in told.findings)


def test_a_slower_plan_is_called_slower_and_what_differs_comes_first() -> None:
    fast, slow = made(seed=1), made(seed=2, token_s=0.13, chip="Apple M1")
    found = compare(side(fast), side(slow))
    assert found.verdict == "slower"
    assert [d.what for d in found.differences] == ["device a", "device b"]
    assert found.overall is not None
    assert found.overall.low < 1 / 1.3 < found.overall.high
    by_metric = {(e.metric, e.point): e.verdict for e in found.effects}
    assert by_metric["TTFT", "pp16 tg8"] == "slower"
    lines = export.compared(found)
    assert lines.index(next(li for li in lines if "Apple M1" in li)) < len(lines) - 3
    assert lines[-1].startswith("made.exo against made.exo: slower (-2")


def test_plans_of_one_recording_are_compared_with_its_first() -> None:
    told = made(plans={"auto": (plan(), 0.1), "even": (plan((2, 2)), 0.15)})
    [found] = told.comparisons
    assert [(d.what, d.first, d.second) for d in found.differences] == [
        ("plan", "a 3 / b 1, sockets", "a 2 / b 2, sockets")
    ]
    assert (found.first, found.second, found.verdict) == ("auto", "even", "slower")
    assert {row.plan: row.split for row in told.rows} == {"auto": "a 3 / b 1", "even": "a 2 / b 2"}


def test_with_three_launches_the_interval_is_over_launches() -> None:
    suite = msgspec.structs.replace(SUITE, launches=4)
    told = made(suite=suite, launch_sd=0.03, repeat_sd=0.001)
    figure = told.rows[0].figures["decode_tps"]
    assert figure.count == 4
    assert figure.half is not None and figure.half > 0.1
    assert "over launches" in export.note(told)
    found = compare(side(told), side(made(suite=suite, seed=5, launch_sd=0.03)))
    assert found.overall is not None and found.overall.unit == "launches"


def test_requests_of_no_suite_are_reported_and_said_to_be_such() -> None:
    events = [event for event in Made().events if not isinstance(event, ev.BenchStarted | ev.TrialStarted)]
    chats = [
        msgspec.structs.replace(event, source="chat") if isinstance(event, ev.RequestStarted) else event
        for event in events
    ]
    told = report(msgspec.structs.replace(Made().recording, events=tuple(chats)), "chat.exo")
    assert [row.label for row in told.rows] == ["requests"]
    assert any("no suite" in finding.text for finding in told.findings)


def test_where_the_time_of_a_request_went_counts_also_when_it_is_told_after_its_end() -> None:
    def chat(request: str, late: bool) -> list[ev.AnyEvent]:
        told: list[ev.AnyEvent] = [
            ev.RankTimed(
                t=T0, request=request, rank=rank, compute_s=0.6, wait_s=0.2, steps=8, peak=100 + 200 * rank
            )
            for rank in range(2)
        ]
        tokens = [ev.TokensStreamed(t=T0 + i / 2, request=request, ids=(i,), text="x") for i in (1, 2)]
        done = ev.RequestDone(t=T0 + 1, request=request, why="stop", tokens=2)
        started = ev.RequestStarted(t=T0, request=request, conversation="c", prompt="hi")
        return [started, *tokens, *([done, *told] if late else [*told, done])]

    run = ev.RunStarted(t=T0, run="r", plan=plan())
    untold = [event for event in chat("z", late=False) if not isinstance(event, ev.RankTimed)]
    for events in (chat("q", late=False), chat("q", late=True), [*chat("q", late=True), *untold]):
        trials = collect([run, *events]).trials
        assert [(s.device, round(s.compute_share, 3)) for s in shares(trials)] == [("a", 0.6), ("b", 0.6)]
        assert rows(trials)[0].peak == 300


def test_csv_has_a_line_a_trial_and_json_every_gap() -> None:
    told = made()
    lines = list(csv.DictReader(io.StringIO(export.csv(told))))
    assert len(lines) == 12
    assert float(lines[2]["decode_tps"]) == pytest.approx(DECODE.of(told.trials[2]), rel=1e-5)
    assert {line["warmup"] for line in lines} == {"0", "1"}
    document = json.loads(msgspec.json.encode(export.document(told)))
    assert document["results"][0]["figures"]["ttft_s"]["unit"] == "s"
    assert len(document["trials"][0]["answers"][0]["gaps_s"]) == 7
    assert TTFT.of(told.trials[0]) == document["trials"][0]["answers"][0]["ttft_s"]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_html_page_asks_nobody_and_runs_nothing() -> None:
    suite = Suite(name=HOSTILE[:40], prompt=(16, 32), generate=(8,))
    told = made(suite=suite, chip=HOSTILE, plans={HOSTILE: (plan(), 0.1)})
    page = html.page(told)
    found = _Tags()
    found.feed(page)
    names = {tag for tag, _ in found.tags}
    assert {"svg", "table", "circle"} <= names
    assert not names & {"script", "img", "link", "iframe", "object"}
    for _, attributes in found.tags:
        assert not {"src", "href", "onload", "onclick"} & attributes.keys()
    assert "default-src 'none'" in page
    assert "<script" not in page and "&lt;script&gt;" in page


def test_markdown_survives_hostile_names() -> None:
    told = made(chip=HOSTILE)
    text = export.markdown(told)
    assert "<script" not in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    pipes = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
    assert len(pipes) == 3  # three tables, each with the same columns in every row

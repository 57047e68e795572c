"""Talking to the model: what keys do in the conversation, and what they say when they cannot."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.events import Paste

from core import events as ev
from core.conversations.manner import Manner
from core.conversations.summary import Summary
from core.request import Sampling
from tests.tui import scenes
from tests.tui.conftest import NARROW, WIDE, Open
from tui.widgets.chatlog import KEPT, ChatLog
from tui.widgets.composer import Composer
from tui.widgets.exchange import Exchange

T = scenes.T0 + 200
READY = [*scenes.planned(), *scenes.run_ready(T)]
TWO = [
    *READY,
    *scenes.asked(T),
    *scenes.streamed(T + 1),
    *scenes.answered(T + 8),
    *scenes.asked(T + 9, "q2", "And then?"),
    *scenes.streamed(T + 9.5, "It *ends*.", "q2"),
    *scenes.answered(T + 10, "q2"),
]


async def test_a_prompt_has_lines_and_whatever_is_typed_is_text(console: Open) -> None:
    async with console(READY, NARROW) as desk:
        await desk.press("i", *"1 qlx", "ctrl+j", *"2M?", "enter")
        assert desk.intents.calls == [("ask", "1 qlx\n2M?")]
        assert desk.app.screen.query_one(Composer).text == ""


async def test_a_long_text_can_be_pasted_and_cannot_drive_the_terminal(console: Open) -> None:
    async with console(READY, NARROW) as desk:
        await desk.press("i")
        pasted = "line \x1b]52;c;AAAA\x07of many\r\n" * 500
        composer = desk.app.screen.query_one(Composer)
        desk.app.post_message(Paste(pasted))
        await desk.settle()
        assert composer.text == "line of many\n" * 500
        assert composer.size.height <= 6, "it grows to a few lines only"
        await desk.press("enter")
        assert desk.intents.calls == [("ask", ("line of many\n" * 500).strip())]


async def test_up_and_down_go_through_the_prompts_of_before(console: Open) -> None:
    async with console(TWO, NARROW) as desk:
        composer = desk.app.screen.query_one(Composer)
        await desk.press("i", *"draft", "up")
        assert composer.text == "And then?"
        await desk.press("up", "up")
        assert composer.text == "How does a pipeline split a model?"
        await desk.press("down", "down")
        assert composer.text == "draft"


async def test_a_question_is_edited_and_asked_again_after_a_yes_where_more_would_go(console: Open) -> None:
    async with console(TWO) as desk:
        await desk.press("2", "e")
        composer = desk.app.screen.query_one(Composer)
        assert composer.text == "And then?"
        await desk.press("escape")
        assert composer.text == "", "an edit can be left"
        await desk.press("e", "end", "backspace", "!", "enter")
        assert desk.intents.calls == [("ask", "And then!", "q2")]
        await desk.press("escape", "g", "r")
        assert "drops the question after it" in desk.text
        await desk.press("n")
        assert len(desk.intents.calls) == 1
        await desk.press("r", "y")
        assert desk.intents.calls[1:] == [("ask", "How does a pipeline split a model?", "q1")]


async def test_an_answer_being_written_can_be_neither_edited_nor_asked_again(console: Open) -> None:
    async with console([*READY, *scenes.asked(T)]) as desk:
        await desk.press("2", "e")
        assert "its answer is being written; s ends it" in desk.text
        assert "s ends it · y copy" in desk.text and "e edit" not in desk.text
        assert desk.intents.calls == []
        await desk.press("s")
        assert desk.intents.calls == [("cancel",)]


async def test_answer_and_code_are_copied(console: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(App, "copy_to_clipboard", lambda _, text: copied.append(text))
    async with console(TWO) as desk:
        await desk.press("2", "Y")
        assert "There is no code in this answer." in desk.text
        await desk.press("y", "k", "k", "y", "Y")
        code = "for layer in stage:\n    h = layer(h)"
        assert copied == ["It *ends*.", scenes.ANSWER.strip(), code]
        assert "Copied python block, 2 lines, by OSC 52" in desk.text


async def test_what_it_thinks_is_seen_while_it_does_and_folded_afterwards(console: Open) -> None:
    async with console([*READY, *scenes.asked(T)], NARROW) as desk:
        await desk.press("2")
        thought = ev.TokensStreamed(t=T, request="q1", ids=(1,), text="", thought="First\nI [b]count[/b].")
        desk.bus.publish(thought)
        await desk.settle()
        assert "▸ thinking, 3 words" in desk.text
        assert "│ I [b]count[/b]." in desk.text
        desk.bus.publish(ev.TokensStreamed(t=T, request="q1", ids=(2,), text="Four."))
        await desk.settle()
        assert "▸ thought, 3 words" in desk.text
        assert "I [b]count[/b]." not in desk.text
        await desk.press("t")
        assert "│ I [b]count[/b]." in desk.text
        await desk.press("t")
        assert "I [b]count[/b]." not in desk.text


async def test_a_request_says_how_many_are_before_it(console: Open) -> None:
    others = [
        ev.RequestStarted(t=T, request=name, conversation="", prompt="x", source="api") for name in ("a", "b")
    ]
    mine = ev.RequestStarted(t=T, request="q", conversation="c1", prompt="And me?")
    async with console([*READY, *others, mine], NARROW) as desk:
        await desk.press("2")
        assert "○ number 3 in the queue, behind 2 requests" in desk.text
        for name in ("a", "b"):
            desk.bus.publish(ev.RequestDone(t=T, request=name, why="stop"))
        await desk.settle()
        assert "○ waiting for the model" in desk.text


async def test_sampling_is_changed_in_a_form_that_says_what_it_does_not_take(console: Open) -> None:
    async with console(READY, NARROW) as desk:
        await desk.press("o", *"Be brief.")
        await desk.press("tab", "backspace", *"7", "enter")
        assert "✖ temperature is a number from 0 to 2" in desk.text
        assert desk.intents.calls == []
        await desk.press("backspace", *"0.7", "enter")
        manner = Manner(system="Be brief.", sampling=Sampling(temperature=0.7))
        assert desk.intents.calls == [("tune", manner)]
        desk.bus.publish(ev.ConversationTuned(t=T, conversation="c1", manner=manner))
        await desk.press("2")
        assert "system prompt · temp 0.7" in desk.text


async def test_conversations_are_searched_opened_renamed_and_deleted(console: Open) -> None:
    intents = scenes.FakeIntents()
    intents.conversations.summaries = [
        Summary("aa", "Trip to Paris", T, 3, "trip to paris\nwhere is the louvre?"),
        Summary("bb", "[b]Layers[/b]", T - 9e5, 1, "layers\nhow are they cut?"),
    ]
    async with console(READY, NARROW, intents=intents) as desk:
        await desk.press("c")
        assert "Trip to Paris" in desk.text and "3 questions" in desk.text
        assert "[b]Layers[/b]" in desk.text
        await desk.press("slash", *"louvre")
        assert "[b]Layers[/b]" not in desk.text
        await desk.press("enter", "enter")
        assert intents.calls == [("open", "aa")]
        await desk.press("c", "j", "r", *" cut", "enter")
        assert intents.calls[1:] == [("rename", "bb", "[b]Layers[/b] cut")]
        await desk.press("k", "d")
        assert "Delete “Trip to Paris”, 3 questions with their answers, for good?" in desk.text
        await desk.press("n")
        assert len(intents.calls) == 2
        await desk.press("d", "y")
        assert intents.calls[2:] == [("delete", "aa")]
        await desk.press("slash", *"nowhere")
        assert "None has “nowhere”" in desk.text
        await desk.press("escape", "n")
        assert intents.calls[3:] == [("new",)]


async def test_an_opened_conversation_is_shown_with_its_figures(console: Open) -> None:
    done = ev.RequestDone(
        t=1, request="o", why="stop", tokens=7, prompt_tokens=40, ttft_s=0.4, decode_tps=9.0
    )
    opened = ev.ConversationOpened(
        t=T,
        conversation="old",
        manner=Manner(title="Of old"),
        exchanges=(ev.Exchange(request="o", prompt="Then?", started=1, text="**Now**.", done=done),),
    )
    async with console([*TWO, opened], NARROW) as desk:
        await desk.press("2")
        for word in ("Of old", "Then?", "Now.", "9.0 tok/s · TTFT 0.40 s · 7 tokens", "47/4096"):
            assert word in desk.text, desk.text
        assert "And then?" not in desk.text


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=str)
async def test_no_number_of_a_conversation_is_cut(console: Open, size: tuple[int, int]) -> None:
    done = ev.RequestDone(
        t=T, request="q1", why="length", tokens=51200, prompt_tokens=79800, reused_tokens=79000,
        ttft_s=123.45, prefill_tps=1234.0, decode_tps=123.4,
    )  # fmt: skip
    events = [*READY, *scenes.asked(T, prompt="long " * 60), *scenes.streamed(T, "x " * 200), done]
    async with console(events, size) as desk:
        await desk.press("2")
        log = desk.app.screen.query_one(ChatLog)
        told = " ".join("".join(row.plain for row in x._rows[-4:]) for x in log.query(".exchange"))
        for number in ("123.4 tok/s", "123.45 s", "1234 tok/s", "51200", "79000 of 79800"):
            assert number in told
            assert all(part in desk.text for part in number.split())
        assert "131000/4096" in desk.text


async def test_the_choice_is_marked_while_keys_go_to_it(console: Open) -> None:
    async with console(TWO) as desk:
        log = desk.app.screen.query_one(ChatLog)
        await desk.press("2")
        assert log.chosen is not None and log.chosen.chosen
        await desk.press("i")
        assert not log.chosen.chosen


async def test_down_after_another_conversation_was_begun_ends_at_the_draft(console: Open) -> None:
    async with console(TWO, NARROW) as desk:
        composer = desk.app.screen.query_one(Composer)
        await desk.press("i", *"draft", "up", "up")
        desk.bus.publish(ev.ConversationStarted(t=T + 20, conversation="c2"))
        desk.bus.publish(ev.ConversationClosed(t=T + 20, conversation="c1"))
        await desk.settle()
        await desk.press("down")
        assert composer.text == "draft"


async def test_exchanges_that_come_back_into_sight_stand_where_they_were(console: Open) -> None:
    many = [
        event
        for i in range(KEPT + 10)
        for event in (*scenes.asked(T + i, f"q{i}", f"question {i}"), *scenes.answered(T + i + 0.5, f"q{i}"))
    ]
    async with console([*READY, *many], NARROW) as desk:
        log = desk.app.screen.query_one(ChatLog)
        again = ev.RequestStarted(
            t=T + 99, request="new", conversation="c1", prompt="again", replaces=f"q{KEPT - 20}"
        )
        desk.bus.publish(again)
        await desk.settle()
        names = [f"q{i}" for i in range(KEPT - 20)] + ["new"]
        assert [one.request.id for one in log.query(Exchange)] == names
        log.focus()
        await desk.press("G", *["up"] * 3)
        assert log.chosen is not None and log.chosen.request.id in names[-4:]

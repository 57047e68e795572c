from __future__ import annotations

from core import events as ev
from core.bus import Bus
from core.conversations.manner import Manner
from core.conversations.turns import turns
from core.request import Turn


def test_the_model_is_told_its_own_conversation_up_to_the_question() -> None:
    bus = Bus()

    def ask(request: str, conversation: str, answer: str) -> None:
        bus.publish(ev.RequestStarted(t=0, request=request, conversation=conversation, prompt=f"{request}?"))
        if answer:
            bus.publish(ev.TokensStreamed(t=0, request=request, ids=(1,), text=answer))

    for name in ("one", "two"):
        bus.publish(ev.ConversationStarted(t=0, conversation=name))
    ask("a", "one", "A.")
    ask("x", "two", "X.")
    ask("unanswered", "one", "")
    ask("b", "one", "")
    assert turns(bus.state, "b") == [
        Turn("user", "a?"),
        Turn("assistant", "A."),
        Turn("user", "unanswered?\n\nb?"),
    ]
    ask("later", "one", "")
    bus.publish(ev.TokensStreamed(t=0, request="b", ids=(1,), text="B"))
    assert turns(bus.state, "b")[-1] == Turn("user", "unanswered?\n\nb?")


def test_a_system_prompt_comes_first_and_thoughts_are_not_told_again() -> None:
    bus = Bus()
    bus.publish(ev.ConversationStarted(t=0, conversation="c"))
    bus.publish(ev.ConversationTuned(t=0, conversation="c", manner=Manner(system="Be brief.")))
    bus.publish(ev.RequestStarted(t=0, request="a", conversation="c", prompt="a?"))
    bus.publish(ev.TokensStreamed(t=0, request="a", ids=(1,), text="A.", thought="Hm."))
    bus.publish(ev.RequestStarted(t=0, request="b", conversation="c", prompt="b?"))
    told = [(turn.role, turn.content) for turn in turns(bus.state, "b")]
    assert told == [("system", "Be brief."), ("user", "a?"), ("assistant", "A."), ("user", "b?")]

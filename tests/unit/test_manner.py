"""Sampling as a person types it."""

from __future__ import annotations

import pytest

from core.conversations.manner import FieldError, parsed, typed
from core.request import Sampling


def test_what_is_shown_is_what_is_meant() -> None:
    chosen = Sampling(temperature=0.7, top_p=0.95, top_k=40, seed=7, max_tokens=2000, stop=("x",))
    assert typed(chosen)["temperature"] == "0.7"
    assert typed(chosen)["max_tokens"] == "2000"
    assert parsed(typed(chosen), chosen) == chosen


def test_an_empty_field_takes_its_default_and_a_comma_is_a_point() -> None:
    texts = dict.fromkeys(typed(Sampling()), "") | {"temperature": " 0,5 "}
    assert parsed(texts, Sampling(top_k=5, seed=3)) == Sampling(temperature=0.5)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("temperature", "hot", "temperature is a number from 0 to 2"),
        ("temperature", "nan", "temperature is a number from 0 to 2"),
        ("top_p", "1.1", "top-p is a number from 0 to 1"),
        ("top_k", "1.5", "top-k is a whole number from 0 to 1,000,000"),
        ("seed", "-1", "seed is a whole number from 0 to 2,147,483,647"),
        ("max_tokens", "0", "max tokens is a whole number from 1 to 10,000,000"),
        ("max_tokens", "9" * 5000, "max tokens is a whole number from 1 to 10,000,000"),
    ],
)
def test_what_cannot_be_meant_is_said_in_words(name: str, text: str, said: str) -> None:
    with pytest.raises(FieldError) as raised:
        parsed(typed(Sampling()) | {name: text}, Sampling())
    assert str(raised.value) == said
    assert raised.value.name == name

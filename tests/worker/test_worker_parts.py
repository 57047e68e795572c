"""Thoughts, text and tool calls told apart, however the text is cut into pieces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlx_lm.utils import load_tokenizer

from core.worker.parts import Parts
from tests.tiny_models import CHAT, TOOLS, build, build_parrot

TOOL = {"type": "function", "function": {"name": "look_up"}}
CALL = '<tool_call>{"name": "look_up", "arguments": {"word": "sky"}}</tool_call>'
CALLED = {"name": "look_up", "arguments": json.dumps({"word": "sky"}), "id": ""}


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory):
    """The tokenizer of a model that thinks and calls."""
    return load_tokenizer(build_parrot(["<think>", "</think>"], tmp_path_factory.mktemp("thinker") / "model"))


def _told(tokenizer, pieces: list[str], tools: list = (TOOL,), prompt: list[int] = ()) -> dict:
    """All parts of an answer, joined."""
    parts = Parts(tokenizer, list(prompt), list(tools))
    told: dict = {"text": "", "thought": "", "calls": []}
    for event in [*map(parts.take, pieces), parts.finish()]:
        for name, value in event.items():
            told[name] += value
    return told


@pytest.mark.parametrize("cut", [1, 2, 7, 1000], ids=lambda cut: f"in pieces of {cut}")
def test_parts_are_found_whatever_the_pieces(cut: int, thinker) -> None:
    text = f"<think>Well, a < b.</think>Look: {CALL}{CALL}\nDone <tool."
    told = _told(thinker, [text[i : i + cut] for i in range(0, len(text), cut)])
    assert told == {"text": "Look: \nDone <tool.", "thought": "Well, a < b.", "calls": [CALLED, CALLED]}


def test_a_prompt_may_end_within_the_thoughts(thinker) -> None:
    [begin] = thinker.encode("<think>", add_special_tokens=False)
    told = _told(thinker, ["Hm", "m</think>Yes"], prompt=[5, begin])
    assert (told["thought"], told["text"]) == ("Hmm", "Yes")


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>not JSON</tool_call>",
        '<tool_call>{"name": 3, "arguments": {}}</tool_call>',
        '<tool_call>{"name": "look_up"}</tool_call> and on',
        '<tool_call>["name"]</tool_call>',
        '<tool_call>{"name": "look_',
        "<tool_call>",
    ],
)
def test_what_is_no_call_is_text(text: str, thinker) -> None:
    assert _told(thinker, [text]) == {"text": text, "thought": "", "calls": []}


def test_without_tools_there_are_no_calls(thinker) -> None:
    assert _told(thinker, [CALL], tools=[])["text"] == CALL


def test_some_models_mark_no_end_of_their_calls(tmp_path: Path) -> None:
    chat = TOOLS.replace("<tool_call>", "[TOOL_CALLS]")
    mistral = load_tokenizer(build("llama", tmp_path / "model", chat))
    told = _told(mistral, ["Look: [TOOL_", 'CALLS]look_up[ARGS]{"word": ', '"sky"}'])
    assert told == {"text": "Look: ", "thought": "", "calls": [CALLED]}


def test_a_model_without_markers_only_says(tmp_path: Path) -> None:
    plain = load_tokenizer(build("llama", tmp_path / "model", CHAT))
    text = f"<think>{CALL}</think>"
    assert _told(plain, list(text))["text"] == text

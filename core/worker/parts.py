# pyright: basic
"""What an answer's text is made of: what the model says, what it thinks, and the tools it calls."""

from __future__ import annotations

import json
from typing import Any

from mlx_lm.generate import TextStateMachine, make_text_state_machine


class Parts:
    """Takes the text of one answer bit by bit, and tells its parts as fields of a `tokens` event.

    Markers are found, and calls are parsed, by mlx_lm's own means for the model. A call that cannot be parsed
    is text like any other.
    """

    def __init__(self, tokenizer: Any, prompt: list[int], tools: list[Any]) -> None:
        self._tokenizer, self._tools = tokenizer, tools
        first = "reasoning" if _thinking(tokenizer, prompt) else "normal"
        first = tokenizer.response_initial_state or first
        self._state = make_text_state_machine(tokenizer).make_state(first)
        self._was = first
        self._call = ""  # as much as there is of one

    def take(self, text: str) -> dict[str, Any]:
        """The parts that `text` completes."""
        self._state, segments = TextStateMachine.split(self._state, text)
        return self._sorted(segments)

    def finish(self) -> dict[str, Any]:
        """The parts that were held back in case a marker came."""
        self._state, rest, name = TextStateMachine.flush(self._state)
        told = self._sorted([(name, rest)])
        if name == "tool":  # some models mark no end, and some answers are cut
            _join(told, self._parsed(""))
        return told

    def _sorted(self, segments: list[tuple[str | None, str]]) -> dict[str, Any]:
        told: dict[str, Any] = {"text": ""}
        for name, text in segments:
            if self._was == "tool" and name != "tool":
                _join(told, self._parsed(self._tokenizer.tool_call_end))
            if name == "tool":
                self._call += text
            else:
                _join(told, {"thought" if name == "reasoning" else "text": text})
            self._was = name
        return told

    def _parsed(self, end: str) -> dict[str, Any]:
        """The calls in what has been gathered before the marker `end`; or the text of it."""
        call, self._call = self._call, ""
        tokenizer = self._tokenizer
        as_text = {"text": f"{tokenizer.tool_call_start}{call}{end}"}
        if not self._tools:
            return as_text
        try:
            found = tokenizer.tool_parser(call, self._tools)
            return {"calls": [_checked(one) for one in (found if isinstance(found, list) else [found])]}
        except Exception:  # parsers are many, and what they are given is the model's invention
            return as_text


def _thinking(tokenizer: Any, prompt: list[int]) -> bool:
    """Whether the prompt ends within the model's thoughts, as some chat templates make it."""
    if not tokenizer.has_thinking:
        return False
    return tokenizer.rfind_think_start(prompt) > tokenizer.rfind_think_end(prompt)


def _checked(call: Any) -> dict[str, str]:
    """Raises TypeError and KeyError for what is no call."""
    name, arguments = call["name"], call["arguments"]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise TypeError(f"not a call: {call!r}")
    return {"name": name, "arguments": json.dumps(arguments), "id": str(call.get("id") or "")}


def _join(told: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        told[key] = told[key] + value if key in told else value

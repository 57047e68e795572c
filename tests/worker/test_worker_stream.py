"""A request whose text goes wrong ends by that, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlx_lm.tokenizer_utils import BPEStreamingDetokenizer, SPMStreamingDetokenizer

from core.worker.stream import Stream
from core.worker.tokens import PromptError, Tokens
from tests.tiny_models import VOCABULARY, build

KNOWN, PADDING, ODD = 1, 5, 4
"""A token, one that the model has and its tokenizer has not, and one whose character is none of a BPE's."""


class Vocabulary:
    def __len__(self) -> int:
        return 5

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return ["▁a", "b", "c", "d", "€\xc3"][: len(ids)]


class Console:
    """What a stream says."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def cancelled(self, _: str) -> bool:
        return False

    def later(self, ev: str, **fields: Any) -> None:
        self.said.append({"ev": ev, **fields})

    emit = later


class Spoken:
    """A tokenizer, as far as a stream needs one."""

    eos = frozenset([0])

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def detokenizer(self) -> Any:
        return self._kind(Vocabulary())

    def parts(self, *_: Any) -> None:
        return None


def _opened(kind: Any, **more: Any) -> tuple[Stream, Console]:
    console: Any = Console()
    request = {"number": 1, "id": "r", "max_tokens": 9, **more}
    stream = Stream(console, request, [3, *more.get("resume", ())], 0.0)
    spoken: Any = Spoken(kind)
    stream.open(None, 0, None, spoken)
    return stream, console


def _end(stream: Stream, console: Console) -> tuple[str, str]:
    assert stream.over
    stream.done()
    [done] = [one for one in console.said if one["ev"] == "done"]
    return done["why"], done["detail"]


def test_a_token_without_text_ends_its_answer() -> None:
    stream, console = _opened(SPMStreamingDetokenizer)
    for token in (KNOWN, PADDING):
        assert not stream.over
        stream.take(token, None)
        stream.tell()
    assert _end(stream, console) == ("error", "no text for its tokens: IndexError: list index out of range")
    assert [one["text"] for one in console.said if one["ev"] == "tokens"] == ["b"]


def test_so_does_one_that_an_earlier_run_has_said() -> None:
    assert _end(*_opened(SPMStreamingDetokenizer, resume=[KNOWN, PADDING]))[0] == "error"


def test_so_does_text_that_is_held_back_and_cannot_be_given_out() -> None:
    stream, console = _opened(BPEStreamingDetokenizer, max_tokens=1)
    stream.take(ODD, None)
    assert _end(stream, console) == ("error", "no text for its tokens: KeyError: '€'")


def test_a_bias_is_for_tokens_that_have_a_text(tmp_path) -> None:
    model = build("llama", tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"vocab_size": VOCABULARY + 64}))
    tokens = Tokens(model)
    last = VOCABULARY - 1
    assert tokens.prompt({"tokens": [5], "logit_bias": {str(last): 100}}, 0) == [5]
    assert tokens.prompt({"tokens": [VOCABULARY]}, 0) == [VOCABULARY], "a prompt needs none"
    with pytest.raises(PromptError, match=f"no token {VOCABULARY}: its ids end at {last}"):
        tokens.prompt({"tokens": [5], "logit_bias": {str(VOCABULARY): 100}}, 0)

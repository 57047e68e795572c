# pyright: basic
"""Text to token ids and back; rank 0 only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlx_lm.utils import load_config, load_tokenizer

from .layers import Refused
from .parts import Parts


class PromptError(Exception):
    """A request's prompt cannot be turned into tokens."""


class Tokens:
    """The model's tokenizer, chat template and end-of-sequence ids. Raises Refused."""

    def __init__(self, model: Path) -> None:
        config = load_config(model)
        # As mlx_lm.load does, so that both stop at the same ids.
        # Where transformers is not told, it asks: on standard input, which is the control channel.
        no_code = {"trust_remote_code": False}
        try:
            self._tokenizer = load_tokenizer(model, no_code, eos_token_ids=config.get("eos_token_id"))
        except Exception as error:  # it is read by whatever its files name
            raise Refused(f"{model} has no tokenizer that can be read: {error}") from error
        self.eos: frozenset[int] = frozenset(self._tokenizer.eos_token_ids)
        inner = config.get("text_config") or config
        self._vocabulary = int(inner.get("vocab_size") or len(self._tokenizer))
        self._longest = max(map(len, self._tokenizer.get_vocab()))

    def prompt(self, request: dict[str, Any], context: int) -> list[int]:
        """Ids of a request's `tokens`, `messages` or `prompt`, then its `resume` (an answer begun earlier).

        Fewer than `context`, unless that is 0. Raises PromptError.
        """
        try:
            ids = [int(one) for one in self._ids(request, context)]
            ids += [int(one) for one in request.get("resume") or []]
        except PromptError:
            raise
        except Exception as error:  # a chat template is a program of the model's and may raise anything
            raise PromptError(f"{type(error).__name__}: {error}") from error
        if not ids:
            raise PromptError("the prompt is empty")
        if context and len(ids) >= context:
            raise PromptError(f"the prompt is {len(ids)} tokens; the context is {context}")
        # An id beyond the model's is no error to MLX, which reads whatever memory is there.
        _check(ids, self._vocabulary)
        # One of those that fill up the model's, where it has more than the tokenizer, has no text.
        _check(map(int, request.get("logit_bias") or ()), min(self._vocabulary, len(self._tokenizer)))
        return ids

    def _ids(self, request: dict[str, Any], context: int) -> list[int]:
        tokenizer = self._tokenizer
        if request.get("tokens") is not None:
            return request["tokens"]
        if request.get("messages") is not None:
            if not tokenizer.has_chat_template:
                raise PromptError("this model has no chat template: give it a plain prompt")
            tools = request.get("tools")
            if tools and not tokenizer.has_tool_calling:
                raise PromptError("this model calls no tools, as far as mlx_lm knows")
            asked = {"tools": tools} if tools else {}
            text = tokenizer.apply_chat_template(
                request["messages"], tokenize=False, add_generation_prompt=True, **asked
            )
            special = False
        else:
            text = request.get("prompt") or ""
            special = tokenizer.bos_token is None or not text.startswith(tokenizer.bos_token)
        # A text so long is not worth the seconds that its tokens take.
        if context and len(text) > context * self._longest:
            least = len(text) // self._longest
            raise PromptError(f"the prompt is over {least} tokens; the context is {context}")
        return tokenizer.encode(text, add_special_tokens=special)

    def name(self, token: int) -> str:
        """The text of a token by itself; a part of a character is U+FFFD."""
        return self._tokenizer.decode([token])

    def parts(self, request: dict[str, Any], prompt: list[int]) -> Parts | None:
        """What takes the answer's text apart, where the request wants that."""
        if not request.get("parts"):
            return None
        return Parts(self._tokenizer, prompt, request.get("tools") or [])

    def detokenizer(self) -> Any:
        """A streaming detokenizer of its own for an answer."""
        return self._tokenizer.detokenizer


def _check(ids: Iterable[int], end: int) -> None:
    """Raises PromptError."""
    for one in ids:
        if not 0 <= one < end:
            raise PromptError(f"the model has no token {one}: its ids end at {end - 1}")

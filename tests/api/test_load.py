"""Many clients at once: nobody's answer is lost, and nobody gets another's."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import mlx.core as mx
from mlx_lm import load
from mlx_lm.generate import generate_step

from tests.api.served import GREEDY, Served

REQUESTS, AT_ONCE = 200, 16


def _cases() -> list[tuple[list[int], int]]:
    """Prompts as token ids, all different, some with a beginning in common; and lengths of answers."""
    chance = random.Random(4)
    common = [chance.randrange(3, 512) for _ in range(24)]
    cases: list[tuple[list[int], int]] = []
    for i in range(REQUESTS):
        own = [chance.randrange(3, 512) for _ in range(chance.randrange(2, 40))]
        cases.append(((common if i % 4 == 0 else []) + own, chance.randrange(3, 10)))
    return cases


def _alone(model: Path, cases: list[tuple[list[int], int]]) -> list[tuple[str, int]]:
    """Text and number of tokens of each answer, as one process gives it."""
    mx.disable_compile()
    whole, tokenizer = load(str(model))[:2]
    answers: list[tuple[str, int]] = []
    for prompt, count in cases:
        text, tokens = tokenizer.detokenizer, 0
        parts: list[str] = []
        for token, _ in generate_step(mx.array(prompt), whole, max_tokens=count):
            if token in tokenizer.eos_token_ids:
                break
            text.add_token(int(token))
            parts.append(text.last_segment)
            tokens += 1
        text.finalize()
        answers.append(("".join([*parts, text.last_segment]), tokens))
    return answers


async def test_200_requests_16_at_once(server: Served, tiny: Path, record_property) -> None:
    cases = _cases()
    expected = await asyncio.to_thread(_alone, tiny, cases)
    client, gate = server.async_client(), asyncio.Semaphore(AT_ONCE)

    async def ask(number: int) -> tuple[str, int]:
        prompt, count = cases[number]
        async with gate:
            asked = {"model": server.model, "prompt": prompt, "max_tokens": count, **GREEDY}
            if number % 2:
                answer = await client.completions.create(**asked)
                return answer.choices[0].text, answer.usage.completion_tokens
            stream = await client.completions.create(
                **asked, stream=True, stream_options={"include_usage": True}
            )
            chunks = [chunk async for chunk in stream]
            text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
            return text, chunks[-1].usage.completion_tokens

    began = time.monotonic()
    answers = await asyncio.gather(*(ask(number) for number in range(REQUESTS)))
    seconds = time.monotonic() - began
    record_property("requests_per_second", REQUESTS / seconds)
    record_property("tokens_per_second", sum(count for _, count in answers) / seconds)
    assert answers == expected
    assert len({text for text, _ in expected}) > REQUESTS * 0.9, "too much alike to prove anything"
    assert server.at_work() == 0

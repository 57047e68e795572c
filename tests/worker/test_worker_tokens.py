"""However a model is cut, it says what it says in one piece."""

from __future__ import annotations

import pytest

from tests.worker.conftest import PROMPT

SOCKETS = [
    ("llama", [6]),
    ("llama", [1, 1, 3, 1]),
    ("qwen3", [4, 2]),
    ("qwen3_moe", [1, 3, 2]),
    ("gpt_oss", [1, 3, 2]),
    ("deepseek_v3", [4, 2]),
    ("llama_q4", [2, 4]),
]
RING = [("llama", [4, 2]), ("qwen3", [1, 3, 2])]
CASES = [(*one, "sockets") for one in SOCKETS] + [(*one, "ring") for one in RING]


@pytest.mark.parametrize(("name", "split", "backend"), CASES, ids=str)
async def test_tokens_are_those_of_one_process(name, split, backend, cluster, alone) -> None:
    expected = alone(name, 48)
    async with cluster(name, split, backend) as ranks:
        ids, done = await ranks.generate(PROMPT)
        assert ids == expected
        assert done["tokens"] == len(ids)
        assert (done["prompt_tokens"], done["reused_tokens"]) == (len(PROMPT), 0)

        # The same again, now with what is still in the KV cache (gpt_oss has filled its window: afresh).
        again, done = await ranks.generate(PROMPT)
        assert again == expected
        assert done["reused_tokens"] == (0 if name == "gpt_oss" else len(PROMPT) - 1)

        # An answer taken up where it was left.
        rest, _ = await ranks.generate(PROMPT, 20, resume=expected[:20])
        assert rest == expected[20:40]
        await _proves(ranks)


async def _proves(ranks) -> None:
    held = [one.named("loaded")[0] for one in ranks.ranks]
    assert [one["end"] - one["start"] for one in held] == ranks.split
    assert len({one["digest"] for one in held}) == len(held)
    for one in ranks.ranks:
        # Ranks to the right hear of an answer's end after it is given.
        await one.until(lambda _, one=one: len(one.named("timed")) == 3)
        timed = one.named("timed")
        assert timed[0]["steps"] >= 40
        assert timed[0]["compute_s"] > 0


async def test_a_seed_decides_whatever_the_cut(cluster) -> None:
    said = []
    for split in ([6], [2, 4]):
        async with cluster("llama", split) as ranks:
            wish = {"temperature": 0.8, "top_p": 0.9, "seed": 7}
            said += [(await ranks.generate(PROMPT, 24, **wish))[0] for _ in range(2)]
            said.append((await ranks.generate(PROMPT, 24, **wish | {"seed": None}))[0])
    assert said[0] == said[1] == said[3] == said[4]
    assert said[2] != said[0] != said[5] != said[2]


async def test_messages_become_text_and_a_bad_request_harms_nobody(cluster, alone) -> None:
    async with cluster("llama", [3, 3]) as ranks:
        _, done = await ranks.generate(messages=[{"role": "user"}], max_tokens=4, prompt=None)
        ids, after = await ranks.generate(messages=[{"role": "user", "content": "Hello"}])
        text = "".join(one["text"] for one in ranks.ranks[0].named("tokens"))
        assert ids and text
        assert after["why"] in ("length", "stop")
        assert done["prompt_tokens"] >= 0

        _, done = await ranks.generate([])
        assert (done["why"], done["detail"]) == ("error", "the prompt is empty")
        ids, _ = await ranks.generate(PROMPT)
        assert ids == alone("llama", 48)


async def test_each_rank_holds_its_own_tensors_only(cluster) -> None:
    held = []
    for split in ([6], [1, 3, 2]):
        async with cluster("llama", split) as ranks:
            held.append([one.named("loaded")[0]["weights"] for one in ranks.ranks])
    whole, parts = held
    assert sum(parts) == whole[0]

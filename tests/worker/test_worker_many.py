"""Several requests at once: each gets the answer it would get alone."""

from __future__ import annotations

import asyncio

import pytest

from tests.worker.conftest import PROMPT

PROMPTS = [PROMPT, PROMPT[:7], PROMPT[10:40], [5, 6], PROMPT[3:] + PROMPT]
COUNTS = [48, 12, 30, 20, 5]
CASES = [
    ("llama", [6], "sockets"),
    ("llama", [1, 3, 2], "sockets"),
    ("gpt_oss", [4, 2], "sockets"),
    ("deepseek_v3", [2, 4], "sockets"),
    ("llama_q4", [3, 3], "sockets"),
    ("qwen3_moe", [3, 3], "ring"),
]


@pytest.mark.parametrize(("name", "split", "backend"), CASES, ids=str)
async def test_requests_that_join_and_leave_do_not_touch_each_other(
    name, split, backend, cluster, alone
) -> None:
    async with cluster(name, split, backend) as ranks:
        asked = [ranks.ask(PROMPTS[0], COUNTS[0]), ranks.ask(PROMPTS[1], COUNTS[1])]
        await ranks.answer(asked[1])  # the first is still being answered
        asked += [ranks.ask(*pair) for pair in zip(PROMPTS[2:], COUNTS[2:], strict=True)]
        answers = await asyncio.gather(*(ranks.answer(one) for one in asked))
        for (ids, _), prompt, count in zip(answers, PROMPTS, COUNTS, strict=True):
            assert ids == alone(name, count, tuple(prompt))
        said = [event["id"] for event in ranks.ranks[0].named("tokens")]
        last = len(said) - 1 - said[::-1].index(asked[0])
        assert said.index(asked[1]) < last  # asked together, answered together


@pytest.mark.parametrize("split", [[6], [2, 4]], ids=str)
async def test_cancelling_one_leaves_the_other(split, cluster, alone) -> None:
    async with cluster("llama", split) as ranks:
        one, other = ranks.ask(PROMPT, 3000), ranks.ask(PROMPT[:9], 40)
        await ranks.ranks[0].until(lambda event: event["ev"] == "tokens" and event["id"] == one)
        for rank in ranks.ranks:
            rank.send("cancel", id=one)
        assert (await ranks.answer(one))[1]["why"] == "cancel"
        assert (await ranks.answer(other))[0] == alone("llama", 40, tuple(PROMPT[:9]))


@pytest.mark.parametrize("name", ["llama", "gpt_oss"])  # a window that has slid cannot be cut back
async def test_what_was_cancelled_can_be_gone_on_with_from_its_cache(name, cluster, alone) -> None:
    async with cluster(name, [6]) as ranks:
        one = ranks.ask(PROMPT, 3000, ignore_eos=True)
        await ranks.ranks[0].until(lambda _: len(ranks.ranks[0].named("tokens")) > 5)
        ranks.ranks[0].send("cancel", id=one)
        ids, done = await ranks.answer(one)
        assert done["why"] == "cancel"
        further = [*PROMPT, *ids, 9]
        answer, done = await ranks.generate(further, 8)
        assert answer == alone(name, 8, tuple(further))
        assert done["reused_tokens"] >= len(further) - 2


async def test_each_conversation_keeps_its_cache(cluster, alone) -> None:
    async with cluster("llama", [3, 3]) as ranks:
        first, second = PROMPT, PROMPT[::-1]
        await ranks.generate(first, 8)
        await ranks.generate(second, 8)
        for prompt in (first, second):
            ids, done = await ranks.generate(prompt, 8)
            assert ids == alone("llama", 8, tuple(prompt))
            assert done["reused_tokens"] == len(prompt) - 1


async def test_requests_that_wait_are_answered_in_the_order_they_are_put(cluster) -> None:
    ranks = cluster("llama", [2, 4])
    ranks.extra = {"streams": 1}
    async with ranks:
        long = ranks.ask(PROMPT, 3000, ignore_eos=True)
        waiting = [ranks.ask([5, i], 2) for i in (6, 7, 8)]
        leader = ranks.ranks[0]
        await leader.until(lambda event: event["ev"] == "tokens" and event["id"] == long)
        leader.send("order", ids=[waiting[2], waiting[0]])
        for rank in ranks.ranks:
            rank.send("cancel", id=long)
        for one in waiting:
            await ranks.answer(one)
        done = [event["id"] for event in leader.named("done")]
        assert done == [long, waiting[2], waiting[0], waiting[1]]


async def test_who_gives_up_waiting_is_let_go_at_once_wherever_in_the_queue(cluster) -> None:
    ranks = cluster("llama", [2, 4])
    ranks.extra = {"streams": 1}
    async with ranks:
        long = ranks.ask(PROMPT, 3000, ignore_eos=True)
        await ranks.ranks[0].until(lambda event: event["ev"] == "tokens" and event["id"] == long)
        next_one, gone = ranks.ask([5, 6], 2), ranks.ask([5, 7], 2)
        for rank in ranks.ranks:
            rank.send("cancel", id=gone)
        assert (await ranks.answer(gone))[1]["why"] == "cancel"
        for rank in ranks.ranks:
            rank.send("cancel", id=long)
        await ranks.answer(next_one)
        assert [event["id"] for event in ranks.ranks[0].named("done")] == [gone, long, next_one]


async def test_what_does_not_fit_the_context_waits_or_is_refused(cluster, alone) -> None:
    ranks = cluster("llama", [3, 3])
    ranks.context = 100
    async with ranks:
        long = ranks.ask(PROMPT, 3000, ignore_eos=True)  # cut to what the context leaves: 55
        short = ranks.ask(PROMPT[:9], 20)  # has to wait for it
        ids, done = await ranks.answer(long)
        assert (len(ids), done["why"]) == (100 - len(PROMPT), "length")
        ids, done = await ranks.answer(short)
        assert ids == alone("llama", 20, tuple(PROMPT[:9]))
        order = [event["id"] for event in ranks.ranks[0].events if event["ev"] == "tokens"]
        assert order.index(short) > max(i for i, one in enumerate(order) if one == long)

        _, done = await ranks.generate(PROMPT * 3, 5)
        assert (done["why"], done["detail"]) == ("error", "the prompt is 135 tokens; the context is 100")
        assert (await ranks.generate(PROMPT, 0))[1]["why"] == "length"
        assert (await ranks.generate(PROMPT, 20))[0] == alone("llama", 20)


async def test_several_of_the_whole_context_are_answered_at_once_where_all_caches_have_room(
    cluster, alone
) -> None:
    ranks = cluster("llama", [3, 3])
    ranks.context, ranks.extra = 256, {"cached": 512}
    async with ranks:
        asked = [ranks.ask(PROMPT[i:], 3000, ignore_eos=True) for i in range(3)]
        for i, one in enumerate(asked):
            ids, done = await ranks.answer(one)
            assert (len(ids), done["why"]) == (256 - len(PROMPT[i:]), "length")
        said = [event["id"] for event in ranks.ranks[0].named("tokens")]
        first, second, third = (said.index(one) for one in asked)
        last = [len(said) - said[::-1].index(one) for one in asked[:2]]
        assert max(first, second) < min(last), "two have room"
        assert third > min(last), "the third waits for one of them"


@pytest.mark.parametrize("split", [[6], [2, 4]], ids=str)
async def test_sampling_does_what_each_of_its_names_says(split, cluster, alone) -> None:
    async with cluster("llama", split) as ranks:
        plain = alone("llama", 12)
        bias = {"77": 6000.0, "78": 5700.0}  # beyond what the model itself may say
        biased, _ = await ranks.generate(PROMPT, 4, logit_bias=bias)
        assert biased == [77] * 4
        present, _ = await ranks.generate(PROMPT, 4, presence_penalty=400.0, logit_bias=bias)
        assert present == [77, 78, 77, 77]
        frequent, _ = await ranks.generate(PROMPT, 5, frequency_penalty=200.0, logit_bias=bias)
        assert frequent == [77, 77, 78, 77, 78]
        repeated, _ = await ranks.generate(
            PROMPT, 1, repetition_penalty=1e6, logit_bias={str(PROMPT[5]): 90.0}
        )
        assert repeated != [PROMPT[5]]
        for wish in ({"top_k": 1}, {"min_p": 1.0}, {"top_p": 1e-6}, {"top_p": 0}):
            assert (await ranks.generate(PROMPT, 12, temperature=1.5, seed=3, **wish))[0] == plain

        name = ranks.ask(PROMPT, 3, logprobs=2)
        await ranks.answer(name)
        told = [event for event in ranks.ranks[0].named("tokens") if event["id"] == name]
        for event in told:
            [chosen, best, second] = event["logprobs"]
            assert chosen == best
            assert chosen[0] == event["ids"][0]
            assert 0 >= best[1] >= second[1]


@pytest.mark.parametrize("split", [[6], [3, 3]], ids=str)
async def test_a_stop_string_ends_the_answer_before_it(split, cluster, alone) -> None:
    async with cluster("llama", split) as ranks:
        whole = ranks.ask(PROMPT, 40)
        await ranks.answer(whole)
        text = _text(ranks, whole)
        stop = text[len(text) // 2 : len(text) // 2 + 5]
        cut = ranks.ask(PROMPT, 40, stop=[stop, "\0never"])
        beside = ranks.ask(PROMPT[:9], 40)
        ids, done = await ranks.answer(cut)
        assert done["why"] == "stop"
        assert _text(ranks, cut) == text[: text.index(stop)]
        assert (await ranks.answer(beside))[0] == alone("llama", 40, tuple(PROMPT[:9]))
        further = [*PROMPT, *ids, 7, 8, 9]
        answer, done = await ranks.generate(further, 12)
        assert answer == alone("llama", 12, tuple(further)), "what came after the stop is in no cache"
        assert done["reused_tokens"] >= len(PROMPT) + len(ids) - 1
        never = ranks.ask(PROMPT, 40, stop=[text[-1] + "\0"])
        await ranks.answer(never)
        assert _text(ranks, never) == text


def _text(ranks, name: str) -> str:
    return "".join(event["text"] for event in ranks.ranks[0].named("tokens") if event["id"] == name)

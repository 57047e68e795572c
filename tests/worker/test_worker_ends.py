"""Cancelling, stopping, losing a neighbour, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
from math import ceil
from pathlib import Path

import psutil
import pytest

from tests.worker.cluster import LIMIT, Rank
from tests.worker.conftest import PROMPT

LONG = 3000  # tokens: more than a test waits for


def _after(rank: Rank, count: int):
    return rank.until(lambda _: len(rank.named("tokens")) >= count)


async def _gone(pid: int) -> None:
    async with asyncio.timeout(LIMIT):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _up(rank: Rank) -> int:
    """The worker's pid once it is there; until then the lease is renewed."""
    assert rank.process.stdin is not None

    async def beat(stdin: asyncio.StreamWriter) -> None:
        while True:
            stdin.write(b"\n")
            await asyncio.sleep(0.1)

    beats = asyncio.create_task(beat(rank.process.stdin))
    try:
        return (await rank.ev("hello"))["pid"]
    finally:
        beats.cancel()


@pytest.mark.parametrize("split", [[6], [2, 4]], ids=str)
async def test_cancel_ends_within_two_steps_on_all_ranks_and_leaves_the_next_request_whole(
    split, cluster, alone
) -> None:
    async with cluster("llama", split) as ranks:
        name = ranks.ask(PROMPT, LONG)
        await _after(ranks.ranks[0], 5)
        for rank in ranks.ranks:
            rank.send("cancel", id=name)
        ids, done = await ranks.answer(name)
        assert done["why"] == "cancel"
        assert 5 <= len(ids) < LONG
        prefill = ceil((len(PROMPT) - 1) / 16)  # in steps of the test's chunk
        for rank in ranks.ranks:
            timed = await rank.until(lambda one: one["ev"] == "timed" and one["id"] == name)
            assert timed["steps"] - prefill - len(ids) in (0, 1, 2)
        ids, _ = await ranks.generate(PROMPT)
        assert ids == alone("llama", 48)


async def test_stop_is_a_clean_exit_even_while_answering(cluster) -> None:
    async with cluster("llama", [3, 3]) as ranks:
        ranks.ask(PROMPT, LONG)
        await _after(ranks.ranks[0], 3)
        for rank in ranks.ranks:
            rank.send("stop")
        for rank in ranks.ranks:
            assert await rank.ev("exit") == {"ev": "exit", "code": 0, "signal": None, "why": ""}
            assert not rank.named("error")


async def test_a_stranger_does_not_take_a_neighbours_place(cluster, alone) -> None:
    ranks = cluster("llama", [3, 3])
    await ranks.listen()
    with socket.create_connection(("127.0.0.1", ranks.ports[1])) as silent:
        with socket.create_connection(("127.0.0.1", ranks.ports[0])) as wrong:
            wrong.sendall(b"?" * 64)
            await ranks.join()
        ids, _ = await ranks.generate(PROMPT)
        assert ids == alone("llama", 48)
        silent.settimeout(LIMIT)
        with contextlib.suppress(ConnectionResetError):  # hung up on, just as well
            assert silent.recv(1) == b""
    await ranks.__aexit__()


@pytest.mark.parametrize("victim", [0, 1, 2])
async def test_a_killed_rank_ends_the_others_with_a_reason(victim, cluster) -> None:
    ranks = cluster("llama", [2, 2, 2])
    async with ranks:
        ranks.ask(PROMPT, LONG)
        await _after(ranks.ranks[0], 3)
        os.kill(ranks.ranks[victim].named("hello")[0]["pid"], signal.SIGKILL)
        for index, rank in enumerate(ranks.ranks):
            last = await rank.ev("exit")
            if index == victim:
                assert (last["code"], last["signal"], last["why"]) == (None, "SIGKILL", "")
            else:
                assert (last["code"], last["why"]) == (3, "")
                error = await rank.ev("error")
                assert error["phase"] == "wire"
                assert "lost rank" in error["text"]


async def test_a_killed_rank_ends_a_ring(cluster) -> None:
    async with cluster("llama", [3, 3], "ring") as ranks:
        ranks.ask(PROMPT, LONG)
        await _after(ranks.ranks[0], 3)
        os.kill(ranks.ranks[1].named("hello")[0]["pid"], signal.SIGKILL)
        assert (await ranks.ranks[0].ev("exit"))["code"] == 3
        assert "lost rank 1" in (await ranks.ranks[0].ev("error"))["text"]


@pytest.mark.parametrize("way", ["eof", "lease"])
@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
async def test_no_process_outlives_its_console(way, stopped, package: Path, tmp_path: Path) -> None:
    rank = await Rank.spawn(package, tmp_path / "log", lease=60.0 if way == "eof" else 3.0)
    rank.send("start", rank=0, size=1, start=0, end=6, model="-", backend="sockets", address="127.0.0.1")
    pid = await _up(rank)
    if stopped:  # a worker that can no longer do anything about it
        os.kill(pid, signal.SIGSTOP)
    last = await (rank.end() if way == "eof" else rank.ev("exit"))
    assert last["why"] == way
    await _gone(pid)
    await rank.end()
    assert rank.process.returncode != 0


async def test_beats_renew_the_lease(package: Path, tmp_path: Path) -> None:
    rank = await Rank.spawn(package, tmp_path / "log", lease=2.0)
    assert rank.process.stdin is not None
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while loop.time() - begun < 4.5:
        rank.process.stdin.write(b"\n")
        await asyncio.sleep(0.1)
    assert not rank.named("exit")
    assert (await rank.ev("exit"))["why"] == "lease"
    await rank.end()


async def test_a_wrong_model_path_is_one_error_line(cluster, tmp_path: Path) -> None:
    ranks = cluster("llama", [6])
    ranks.model = tmp_path / "nowhere"
    await ranks.listen()
    ranks.ranks[0].send("connect", peers=[["127.0.0.1", ranks.ports[0]]], token="00" * 32)
    last = await ranks.ranks[0].ev("exit")
    assert last["code"] == 1
    [error] = ranks.ranks[0].named("error")
    assert (error["phase"], error["kind"]) == ("load", "refused")
    assert "nowhere" in error["text"]
    await ranks.__aexit__()


async def test_tensors_of_other_shapes_and_a_family_that_is_unknown_are_refused(
    cluster, model, tmp_path: Path
) -> None:
    """Not failures: another rank in its place would say the same."""
    for key, value, said in (
        ("intermediate_size", 64, "the model wants"),
        ("model_type", "nobody", "Model type nobody not supported"),
    ):
        copy = tmp_path / key
        shutil.copytree(model("llama"), copy)
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | {key: value}))
        ranks = cluster("llama", [6])
        ranks.model = copy
        await ranks.listen()
        ranks.ranks[0].send("connect", peers=[["127.0.0.1", ranks.ports[0]]], token="00" * 32)
        error = await ranks.ranks[0].ev("error")
        assert (error["phase"], error["kind"]) == ("load", "refused")
        assert said in error["text"]
        await ranks.__aexit__()

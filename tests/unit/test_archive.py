"""Conversations of a console: opened, kept while they grow, and what is said when they cannot be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core import events as ev
from core.bus import Bus
from core.conversations.archive import Archive
from core.conversations.keeper import Keeper
from core.conversations.manner import Manner
from core.conversations.store import Store, Stored
from core.intents import why_not_resume
from core.request import Sampling
from core.state import ClusterState
from tests.e2e.until import soon

LIMIT = 20.0


@asynccontextmanager
async def console(folder: Path | None) -> AsyncIterator[tuple[Bus, Archive]]:
    bus = Bus()
    archive = Archive(bus, folder, Sampling(max_tokens=99))
    archive.start()
    yield bus, archive
    await archive.close()


async def until(bus: Bus, so: Callable[[ClusterState], object]) -> ClusterState:
    async with asyncio.timeout(LIMIT):
        return await bus.until(lambda state: bool(so(state)))


def ask(bus: Bus, request: str, prompt: str, answer: str = "", replaces: str = "") -> None:
    conversation = bus.state.conversation
    bus.publish(
        ev.RequestStarted(t=1, request=request, conversation=conversation, prompt=prompt, replaces=replaces)
    )
    if answer:
        bus.publish(ev.TokensStreamed(t=2, request=request, ids=(1,), text=answer))
        bus.publish(ev.RequestDone(t=3, request=request, why="stop", tokens=1))


def said(state: ClusterState) -> list[tuple[str, str]]:
    requests = [state.requests[id_] for id_ in state.conversations[state.conversation]]
    return [(request.prompt, request.text) for request in requests]


async def on_disk(folder: Path, so: Callable[[str], bool]) -> None:
    """Wait until some file of the folder is `so`, without any help from the console."""
    await soon(lambda: any(so(path.read_text()) for path in folder.glob("*.json")), "a file as it should be")


async def test_a_conversation_is_there_after_a_restart(tmp_path: Path) -> None:
    async with console(tmp_path) as (bus, archive):
        ask(bus, "a", "first?", "First.")
        archive.tune(Manner(title="Numbers", system="Count.", sampling=Sampling(temperature=0.5)))
        first = bus.state.conversation
        archive.new()
        ask(bus, "b", "second?", "Second.")
    async with console(tmp_path) as (bus, archive):
        assert said(bus.state) == []
        kept = {(one.title, one.exchanges) for one in await archive.all()}
        assert kept == {("Numbers", 1), ("second?", 1)}
        archive.open(first)
        state = await until(bus, lambda state: state.conversation == first)
        assert said(state) == [("first?", "First.")]
        assert state.manners[first] == Manner(
            title="Numbers", system="Count.", sampling=Sampling(temperature=0.5)
        )


async def test_an_answer_is_on_disk_while_it_grows_and_what_a_crash_leaves_is_told_as_such(
    tmp_path: Path,
) -> None:
    async with console(tmp_path) as (bus, _):
        ask(bus, "a", "first?")
        for word in ("One", ", two", ", three"):
            bus.publish(ev.TokensStreamed(t=2, request="a", ids=(len(word),), text=word))
            await on_disk(tmp_path, lambda text: word in text)  # noqa: B023 - awaited here
        crashed, conversation = Store(tmp_path).all()[0][0], bus.state.conversation
    assert crashed.exchanges[0].ids == (3, 5, 7), "from here it could be continued"
    store = Store(tmp_path)
    store.write(crashed)
    store.close()
    async with console(tmp_path) as (bus, archive):
        archive.open(conversation)
        state = await until(bus, lambda state: state.conversation == conversation)
        assert state.active is None
        done = state.requests["a"].done
        assert done and done.detail == "the console ended before this answer did"
        assert said(state) == [("first?", "One, two, three")]


async def test_after_a_crash_the_conversation_is_opened_and_its_answer_can_go_on(tmp_path: Path) -> None:
    async with console(tmp_path) as (bus, _):
        ask(bus, "a", "first?", "First.")
        ask(bus, "b", "and then?")
        bus.publish(ev.TokensStreamed(t=2, request="b", ids=(3, 5), text="Then"))
        await on_disk(tmp_path, lambda text: "Then" in text)
        async with console(tmp_path) as (other, _):  # it is being written: nothing of another console's
            await soon(lambda: other.state.conversation, "a conversation")
            assert said(other.state) == []
            assert not other.state.alerts
        crashed, conversation = Store(tmp_path).all()[0][0], bus.state.conversation
    store = Store(tmp_path)
    store.write(crashed)
    store.close()
    async with console(tmp_path) as (bus, archive):
        state = await until(bus, lambda state: state.conversation == conversation and state.alerts)
        assert said(state) == [("first?", "First."), ("and then?", "Then")]
        assert "C continues it" in state.alerts[-1].text
        assert state.requests["b"].ids == (3, 5)
        assert why_not_resume(state, "a") == "only an answer that was cut off goes on"
        assert "was begun by" in (why_not_resume(state, "b") or ""), "no model is chosen here"
        bus.publish(ev.RequestHeld(t=9, request="b"))
        assert bus.state.active == bus.state.requests["b"]
        archive.new()


async def test_what_was_left_is_let_go_of_and_comes_back_as_it_was(tmp_path: Path) -> None:
    async with console(tmp_path) as (bus, archive), console(tmp_path) as (other, their):
        ask(bus, "a", "first?", "First.")
        first = bus.state.conversation
        await on_disk(tmp_path, lambda text: "First." in text)
        their.open(first)
        state = await until(other, lambda state: state.alerts)
        assert state.alerts[-1].text == "cannot open the conversation: another console has it open"
        archive.new()
        await until(bus, lambda state: first not in state.conversations)
        their.open(first)
        await until(other, lambda state: state.conversation == first)
        ask(other, "b", "and then?", "Second.")
        their.new()
        await until(other, lambda state: first not in state.conversations)
        archive.open(first)
        state = await until(bus, lambda state: state.conversation == first)
        assert said(state) == [("first?", "First."), ("and then?", "Second.")]


async def test_a_conversation_being_answered_in_stays(tmp_path: Path) -> None:
    async with console(tmp_path) as (bus, archive):
        ask(bus, "a", "first?")
        first = bus.state.conversation
        archive.delete(first)
        assert "end that first" in bus.state.alerts[-1].text
        archive.new()
        archive.tune(Manner(title="second"))
        await on_disk(tmp_path, lambda text: "second" in text)
        assert first in bus.state.conversations
        bus.publish(ev.RequestDone(t=3, request="a", why="stop"))
        await until(bus, lambda state: first not in state.conversations)


async def test_an_edited_prompt_replaces_what_came_after_it(tmp_path: Path) -> None:
    async with console(tmp_path) as (bus, _):
        for name in ("a", "b", "c"):
            ask(bus, name, f"{name}?", f"{name}!")
        ask(bus, "d", "B?", "better", replaces="b")
        assert said(bus.state) == [("a?", "a!"), ("B?", "better")]
        assert set(bus.state.requests) == {"a", "d"}
        await on_disk(tmp_path, lambda text: "better" in text and "c!" not in text)


async def test_deleting_and_renaming_reach_the_file(tmp_path: Path) -> None:
    async with console(tmp_path) as (bus, archive):
        ask(bus, "a", "first?", "First.")
        first = bus.state.conversation
        archive.rename(first, "in memory")
        await on_disk(tmp_path, lambda text: "in memory" in text)
        archive.new()
        await until(bus, lambda state: first not in state.conversations)
        archive.rename(first, "on disk")
        await on_disk(tmp_path, lambda text: "on disk" in text)
        archive.delete(first)
        await soon(lambda: not list(tmp_path.glob("*.json")), "the file deleted")
        ask(bus, "b", "again?", "Again.")
        current = bus.state.conversation
        archive.delete(current)
        state = await until(bus, lambda state: state.conversation not in ("", current))
        assert said(state) == []
    assert not list(tmp_path.glob("*.json"))


async def test_a_list_shows_what_was_renamed_and_deleted_just_before(tmp_path: Path) -> None:
    async with console(tmp_path) as (bus, archive):
        ask(bus, "a", "first?", "First.")
        first = bus.state.conversation
        archive.new()
        await until(bus, lambda state: first not in state.conversations)
        archive.rename(first, "Numbers")
        assert [one.title for one in await archive.all()] == ["Numbers"]
        archive.delete(first)
        assert await archive.all() == []


async def test_a_full_disk_is_said_once_and_survived(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.conversations.keeper.RETRY_S", 0.05)
    monkeypatch.setattr(Store, "write", full)
    async with console(tmp_path) as (bus, archive):
        first = bus.state.conversation
        ask(bus, "a", "first?", "First.")
        state = await until(bus, lambda state: state.alerts)
        assert "cannot be kept: No space left on device" in state.alerts[-1].text
        archive.new()
        ask(bus, "b", "second?", "Second.")
        await asyncio.sleep(0.2)  # some more attempts
        assert len(bus.state.alerts) == 1
        assert first in bus.state.conversations, "what is not on disk stays in memory"
        monkeypatch.undo()
        await until(bus, lambda state: state.alerts[-1].text == "conversations are kept again")
        await on_disk(tmp_path, lambda text: "First." in text)


def slowly(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[threading.Event, threading.Event, Bus, Keeper]:
    """A conversation is kept by a disk that says when it has begun to write, and waits to be let go on."""
    begun, go, write = threading.Event(), threading.Event(), Store.write

    def slow(store: Store, one: Stored) -> None:
        begun.set()
        assert go.wait(LIMIT)
        write(store, one)

    monkeypatch.setattr(Store, "write", slow)
    bus = Bus()
    keeper = Keeper(bus, Store(folder))
    bus.subscribe(keeper.take)
    keeper.start()
    bus.publish(ev.ConversationStarted(t=0, conversation="c", manner=Manner()))
    return begun, go, bus, keeper


async def test_what_is_being_written_is_written_though_nobody_waits_any_more(
    tmp_path: Path, monkeypatch
) -> None:
    begun, go, bus, keeper = slowly(tmp_path, monkeypatch)
    ask(bus, "a", "first?", "First.")
    await soon(begun.is_set, "the file being written")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await keeper.close()
    go.set()
    await keeper.close()
    await on_disk(tmp_path, lambda text: "First." in text)


async def test_what_comes_while_the_last_file_is_being_written_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, bus, keeper = slowly(tmp_path, monkeypatch)
    ask(bus, "a", "first?")
    await soon(begun.is_set, "the file being written")
    bus.publish(ev.TokensStreamed(t=2, request="a", ids=(1,), text="First."))
    closing = asyncio.create_task(keeper.close())
    await asyncio.sleep(0)
    go.set()
    await closing
    await on_disk(tmp_path, lambda text: "First." in text)


async def test_a_conversation_is_renamed_though_nobody_waits_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(tmp_path) as (bus, _):
        ask(bus, "a", "first?", "First.")
        first = bus.state.conversation
    begun, go, take = threading.Event(), threading.Event(), Store.take

    def slow(store: Store, id_: str) -> Stored:
        begun.set()
        assert go.wait(LIMIT)
        return take(store, id_)

    monkeypatch.setattr(Store, "take", slow)
    async with console(tmp_path) as (_, archive):
        archive.rename(first, "Numbers")
        await soon(begun.is_set, "the file being read")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await archive.close()
        go.set()
    await on_disk(tmp_path, lambda text: "Numbers" in text)


async def test_without_a_folder_conversations_stay_in_memory() -> None:
    async with console(None) as (bus, archive):
        ask(bus, "a", "first?", "First.")
        first = bus.state.conversation
        archive.new()
        assert [one.title for one in await archive.all()] == ["first?"]
        archive.open(first)
        assert said(bus.state) == [("first?", "First.")]

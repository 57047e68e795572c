"""Conversations on disk, as their files are found by this console and by others."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from core import events as ev
from core.conversations.manner import Manner
from core.conversations.store import Elsewhere, Store, Stored, StoreError
from core.request import Sampling

DONE = ev.RequestDone(t=3, request="r", why="stop", tokens=2, ttft_s=0.5)
SAID = ev.Exchange(request="r", prompt="hi", started=1, text="Hello.", thought="Greet.", done=DONE)
ONE = Stored(
    id="c1",
    changed=3,
    manner=Manner(
        title="A title", system="Be brief.", sampling=Sampling(temperature=0.7, seed=4, stop=("x",))
    ),
    exchanges=(SAID, ev.Exchange(request="s", prompt="more", started=4, text="We", ids=(1, 2))),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kept")


def test_what_is_written_is_read_again_by_the_next_console(store: Store) -> None:
    store.write(ONE)
    store.close()
    again = Store(store.folder)
    assert again.take("c1") == ONE
    assert again.all() == ([ONE], [])


def test_nobody_else_may_read_the_files(store: Store) -> None:
    store.write(ONE)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_a_conversation_held_by_one_console_is_refused_to_another(store: Store) -> None:
    store.write(ONE)
    store.write(msgspec.structs.replace(ONE, changed=9))  # the lock goes along with the new file
    other = Store(store.folder)
    for attempt in (other.take, other.delete, lambda _: other.write(ONE)):
        with pytest.raises(Elsewhere, match="another console has it open"):
            attempt("c1")
    assert other.all()[0][0].changed == 9, "it can still be listed"
    store.release("c1")
    other.delete("c1")
    assert store.all() == ([], [])


def test_the_lock_ends_with_the_console_that_was_killed(store: Store) -> None:
    store.write(ONE)
    store.close()
    program = (
        "import sys, pathlib; from core.conversations.store import Store;"
        "s = Store(pathlib.Path(sys.argv[1])); s.take('c1'); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(store.folder)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout and child.stdout.readline() == "held\n"
    with pytest.raises(Elsewhere):
        store.take("c1")
    child.kill()
    child.communicate()
    assert store.take("c1") == ONE


@pytest.mark.parametrize("data", [b"", b"{", b'{"format":"other","version":1}', b"\xff" * 40])
def test_a_damaged_file_is_set_aside_and_named_and_the_others_are_there(store: Store, data: bytes) -> None:
    store.write(ONE)
    (store.folder / "c2.json").write_bytes(data)
    found, problems = store.all()
    assert found == [ONE]
    assert len(problems) == 1 and str(store.folder / "c2.damaged") in problems[0]
    assert (store.folder / "c2.damaged").read_bytes() == data
    assert store.all() == ([ONE], [])


def test_a_newer_version_is_left_alone(store: Store) -> None:
    store.write(ONE)
    path = store.folder / "c3.json"
    path.write_bytes(b'{"format":"exo-tui-conversation","version":99,"new":true}')
    found, problems = store.all()
    assert found == [ONE]
    assert problems == ["c3.json was written by a newer exo-tui"]
    with pytest.raises(StoreError, match="newer"):
        store.take("c3")
    assert path.exists()


def test_a_failed_write_leaves_what_was_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write(ONE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.write(msgspec.structs.replace(ONE, changed=9))
    monkeypatch.undo()
    assert [path.name for path in store.folder.iterdir()] == ["c1.json"]
    store.write(msgspec.structs.replace(ONE, changed=10))
    assert store.take("c1").changed == 10


def test_what_killed_consoles_left_behind_goes(store: Store) -> None:
    store.write(ONE)
    fresh, old = store.folder / ".c1.a.new", store.folder / ".c1.b.new"
    for path in (fresh, old):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.all()
    assert fresh.exists()
    assert not old.exists()


def test_a_name_cannot_lead_out_of_the_folder(store: Store) -> None:
    for name in ("../c1", "c1/x", "", "c1\x1b[31m"):
        with pytest.raises(StoreError, match="names no conversation"):
            store.take(name)


def test_what_was_tampered_with_cannot_drive_the_terminal(store: Store) -> None:
    evil = "a\x1b]52;c;AAAA\x07b"
    store.write(msgspec.structs.replace(ONE, manner=Manner(title=evil), exchanges=(
        ev.Exchange(request="r", prompt=evil, started=1, text=evil, thought=evil),
    )))  # fmt: skip
    one = store.take("c1")
    said = one.exchanges[0]
    assert {one.manner.title, said.prompt, said.text, said.thought} == {"ab"}

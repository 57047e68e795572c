"""What a worker says is not believed before it is checked, nor shown before it is cleaned."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest

from core import events as ev
from core.options import Options
from core.remote.local import LocalMachine
from core.run.protocol import Tokens, decode
from core.run.rank import Rank


def _said(**fields: object) -> Tokens:
    said = decode(msgspec.json.encode({"ev": "tokens", "id": "r", "ids": [1], **fields}))
    assert isinstance(said, Tokens)
    return said


def test_every_string_of_an_answer_is_cleaned_however_deep_it_is() -> None:
    said = _said(
        text="a\x1b[2Jb",
        thought="\x07c",
        calls=[{"name": "\x1b]0;x\x07f", "arguments": '{"a": "\\u001b"}'}],
        logprobs=[[1, -0.5, "\x9b1md"], [2, -1, ""]],
    )
    assert (said.text, said.thought, said.calls[0].name) == ("ab", "c", "f")
    assert said.logprobs is not None and said.logprobs[0].text == "d"
    assert said.calls[0].arguments == '{"a": "\\u001b"}', "escaped as JSON: harmless, and the program's own"


def test_programs_get_the_text_as_it_was() -> None:
    family = "👨‍👩‍👧\r\n"
    said = _said(text=family, raw="forged")
    assert said.text != family
    assert said.raw == family
    assert _said(text="plain", raw="forged").raw == ""


async def test_a_tool_that_writes_a_whole_file_is_called_with_all_of_it(tmp_path: Path) -> None:
    wanted = 300_000
    program = (
        f"import json; call = {{'name': 'write', 'arguments': json.dumps({{'text': 'x' * {wanted}}})}};"
        "print(json.dumps({'ev': 'tokens', 'id': 'r', 'ids': [1], 'calls': [call]}))"
    )
    process = await LocalMachine(sys.executable, tmp_path).start([sys.executable, "-c", program])
    [said] = [decode(line) async for line in process.lines()]
    assert isinstance(said, Tokens)
    assert len(msgspec.json.decode(said.calls[0].arguments)["text"]) == wanted
    await process.wait()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"ev": "tokens"}',
        b'{"ev": "tokens", "id": "r", "ids": [1], "calls": [{}]}',
        b'{"ev": "tokens", "more": ' + b"[" * 30_000,
        b'{"ev": "tokens", "id": "\xff"}',
    ],
)
def test_what_is_no_line_of_a_worker_is_said_in_one_line(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not a worker's line [^\n]+$"):
        decode(line)


async def test_a_rank_can_be_stopped_also_where_nobody_listens_to_it_any_more(tmp_path: Path) -> None:
    """Whatever it was that the listener died of: here of a line that somebody could not take."""
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker/guard.py").write_text(
        'import sys; print(\'{"ev": "phase", "phase": "load"}\', flush=True); sys.stdin.read()'
    )

    class Shipped(LocalMachine):
        async def ship(self, files: object, package: str) -> str:
            return str(tmp_path)

    heard = asyncio.Event()

    def take(_: ev.AnyEvent) -> None:
        heard.set()
        raise RuntimeError("a mistake of ours")

    rank = Rank("run", 0, "here", Shipped(sys.executable, tmp_path), take)
    await rank.start({}, Options())
    async with asyncio.timeout(30):
        await heard.wait()
        assert await rank.stop(5.0) == ""
        assert rank._process is not None
        await rank._process.wait()

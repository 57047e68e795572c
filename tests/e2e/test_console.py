"""The main job as a person does it: the demo in a terminal, from the first paint to nothing left."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.e2e.adverts import Adverts
from tests.e2e.terminal import Terminal, exo_tui, why_not
from tests.e2e.until import soon

WIDE = (180, 54)
QUESTION = "What is the capital of France?"

LEGENDS = ("Memory GiB", "Link p50", "Tokens/s")
"""Of the charts in the left column."""

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def demo_env(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "EXO_TUI_CACHE": str(home / "cache"), "EXO_TUI_CONFIG": str(home / "config")}


def _named(processes: list[psutil.Process], word: str) -> list[psutil.Process]:
    found = []
    for process in processes:
        try:
            if any(word in part for part in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def _listening(processes: list[psutil.Process]) -> set[int]:
    ports: set[int] = set()
    for process in processes:
        try:
            ports |= {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        except psutil.NoSuchProcess:
            continue
    return ports


async def test_the_demo_answers_and_leaves_nothing(demo_env, tmp_path: Path) -> None:
    recording = tmp_path / "demo.exo"
    async with Adverts() as adverts:
        await _answers_and_ends(demo_env, adverts, recording)
    _replays(demo_env, recording)


async def _answers_and_ends(demo_env: dict[str, str], adverts: Adverts, recording: Path) -> None:
    with Terminal(exo_tui("demo", "--record", str(recording)), WIDE, demo_env) as terminal:
        terminal.sees("3 of 3 ready", "demo-a", "demo-b", "demo-c", "SmolLM2-135M-Instruct · 30 layers")
        terminal.sees("demo-a → demo-b", "demo-b → demo-c")
        servers = _named(terminal.processes(), "core.rehearsal")
        ports = _listening(servers)
        assert len(servers) == 3
        await soon(lambda: ports <= set(adverts.ports.values()), "the devices announced")

        terminal.press("l")
        terminal.sees("● run ready", "every layer held once ✓")
        alive = terminal.processes()
        assert len(_named(alive, "guard.py")) == 3

        terminal.press("i")
        terminal.write(QUESTION)
        terminal.press("Enter")
        terminal.sees(QUESTION, "▸ writing")
        terminal.sees("Paris", "tok/s · TTFT")
        terminal.until(_plotted, "points in all three plots")

        terminal.press("Escape")
        terminal.until(lambda text: "Leave" not in text, "the composer left")
        terminal.press("q")
        terminal.sees("A run is live on 3 devices")
        terminal.press("y")
        terminal.sees("exit code 0")
        gone, left = psutil.wait_procs(alive, timeout=10)
        assert not left
        assert len(gone) == len(alive)
        await soon(lambda: not ports & set(adverts.ports.values()), "the devices withdrawn")
        assert not terminal.processes()


def test_the_console_plans_with_what_was_typed_and_else_with_what_the_settings_say(
    demo_env: dict[str, str], home: Path
) -> None:
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "config.toml").write_text("[run]\ncontext = 512\nkv_bits = 4\n")
    try:
        with Terminal(exo_tui("demo", "--devices", "1", "--kv-bits", "8"), WIDE, demo_env) as terminal:
            terminal.sees("sockets · context 512, KV in 8 bits")
            terminal.press("q")
            terminal.sees("exit code 0")
    finally:
        (home / "config" / "config.toml").unlink()


def _replays(demo_env: dict[str, str], recording: Path) -> None:
    with Terminal(exo_tui("replay", str(recording), "--speed", "64"), WIDE, demo_env) as terminal:
        terminal.sees("■ the end", QUESTION, "Paris", "tok/s · TTFT", "run: the console was closed")
        terminal.until(_plotted, "points in all three plots")
        terminal.press("[")
        terminal.sees("⏸ paused", "×64")
        terminal.press("-", "]")
        terminal.sees("■ the end", "×32")
        terminal.press("q")
        terminal.sees("exit code 0")


def _plotted(text: str) -> bool:
    """Below each of the legends there is a point, a braille character, before the next one."""
    lines = [row[: WIDE[0] // 4] for row in text.splitlines()]
    starts = [i for word in LEGENDS for i, row in enumerate(lines) if word in row]
    ends = [*starts[1:], len(lines)]
    return len(starts) == len(LEGENDS) and all(
        any("\u2801" <= char <= "\u28ff" for row in lines[a:b] for char in row)
        for a, b in zip(starts, ends, strict=True)
    )

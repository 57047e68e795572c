"""Files that two consoles change at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from core import tunings
from core.files import held, write_private
from core.plan.plan import Tuning

CONSOLE = """
import asyncio, sys
from pathlib import Path
from core import tunings
from core.bus import Bus
from core.config import Config, DeviceEntry, keep
from core.library import Library
from core.plan.plan import Tuning
from core.wish import Wish
folder, who = Path(sys.argv[1]), sys.argv[2]
library = Library(Bus(), Config(folder, folder, data=folder), Wish(), {})
names = [f"{who}-{i}" for i in range(25)]
for name in names:
    (folder / name).mkdir()
    (folder / name / "config.json").write_text("{}")
print(flush=True)
sys.stdin.readline()
for name in names:
    keep(folder, DeviceEntry(f"{name}.local"))
    assert not asyncio.run(library.add(str(folder / name)))
    tunings.keep(folder / "devices.json", Tuning, {name: Tuning(0.5, 1.0, 50)})
"""


def test_two_consoles_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-c", CONSOLE, tmp_path, who], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for who in ("one", "other")
    ]
    for process in both:
        assert process.stdout is not None
        process.stdout.readline()
    for process in both:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait(60) for process in both] == [0, 0]
    added = {f"{who}-{i}" for who in ("one", "other") for i in range(25)}
    for name in ("config.toml", "models.json", "devices.json"):
        path = tmp_path / name
        words = path.read_text().split('"')
        assert added <= {word.rsplit("/")[-1].removesuffix(".local") for word in words}, name
        assert path.stat().st_mode & 0o777 == 0o600
        assert not list(tmp_path.glob(f".{name}*")), "nothing is left beside it"


def test_what_was_learnt_is_added_to_what_is_there_and_damage_is_no_end(tmp_path: Path) -> None:
    memory = tmp_path / "cache" / "devices.json"
    a, b = Tuning(0.5, 1.0, 50), Tuning(0.6, 2.0, 60)
    tunings.keep(memory, Tuning, {"a": a})
    tunings.keep(memory, Tuning, {"a": b, "b": b})
    assert tunings.recall(memory, Tuning) == {"a": b, "b": b}
    memory.write_bytes(b"\xff{")
    assert tunings.recall(memory, Tuning) == {}
    tunings.keep(memory, Tuning, {"a": a})
    assert msgspec.json.decode(memory.read_bytes(), type=dict[str, Tuning]) == {"a": a}
    memory.unlink()
    memory.mkdir()
    tunings.keep(memory, Tuning, {"a": a})  # is not worth a word
    tunings.keep(None, Tuning, {"a": a})


def test_a_file_is_held_where_a_link_leads(tmp_path: Path) -> None:
    link, real = tmp_path / "link", tmp_path / "new" / "real"
    link.symlink_to(real)
    with held(link):
        write_private(link, b"x")
    assert link.is_symlink() and real.read_bytes() == b"x"

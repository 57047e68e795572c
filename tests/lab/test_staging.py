"""A model that only the console has: each host is sent what its stage needs, whatever happens to cables."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from core.events import RankPhased
from core.models.shard import WEIGHTS, shard
from core.models.spec import read
from core.models.stage import COPIES
from core.session import format as recording
from tests.tiny_models import CONFIGS, LAYERS, build

from .cluster import LIMIT, Command, Setup, device
from .host import Host
from .vlab import Lab

SPLIT = (2, 4)
BIG = CONFIGS["llama"] | {"vocab_size": 8192}


@pytest.fixture
def hidden(fresh_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model in a folder that the hosts' account may not look into."""
    monkeypatch.setitem(CONFIGS, "llama_big", BIG)
    closed = fresh_lab.dir / "closed"
    closed.mkdir(mode=0o700)
    return build("llama_big", closed / "model")


def _parts(host: Host, ending: str = "") -> list[Path]:
    return list((host.home / ".cache/exo-tui" / COPIES).glob(f"*/{WEIGHTS}{ending}"))


def _some_arrived(host: Host, command: Command) -> int:
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and command.process.poll() is None:
        for part in _parts(host, ".part"):
            if size := part.stat().st_size:
                return size
        time.sleep(0.02)
    raise AssertionError(f"nothing arrived at {host.name}: {command.complaints}")


def _copied(file: Path) -> list[RankPhased]:
    return [e for e in recording.read(file).events if isinstance(e, RankPhased) and e.phase == "copy"]


def test_a_cut_copy_goes_on_where_it_was_and_ends_with_equal_files(fresh_lab: Lab, hidden: Path) -> None:
    lab = fresh_lab
    half = lab["h1"].home / "models" / hidden.name
    half.mkdir(parents=True)
    shutil.copy(hidden / "config.json", half)
    devices = [device(lab[host], models="~/models") for host in ("h1", "h2")]
    setup = Setup(lab, "staging", devices, pinned=("h1", "h2"), recovers=False)
    asked = ["run", str(hidden), "--prompt", "def", "--max-tokens", "8", "--on", "h1,h2", "--split", "2,4"]
    lab.link("h2", rate_mbit=8)
    command = setup.start(*asked)
    _some_arrived(lab["h2"], command)
    lab.unplug("h2")
    assert command.end() == 1
    assert "h2" in command.complaints and "h1" not in command.complaints
    [part] = _parts(lab["h2"], ".part")
    kept = part.stat().st_size
    lab.link("h2")
    lab.plug("h2")

    first, second = setup.folder / "first.rec", setup.folder / "second.rec"
    assert len(setup.start(*asked, "--record", str(first), "--json").answer()["tokens"]) == 8
    spec, at = read(hidden), 0
    before = sum(one.size for one in shard(spec, 2, LAYERS).contents if one.name != WEIGHTS)
    went_on = [said.done - before for said in _copied(first) if said.rank == 1 and said.done > before]
    assert min(went_on) > kept > 0, "it began anew"
    for name, count in zip(("h1", "h2"), SPLIT, strict=True):
        [file] = _parts(lab[name])
        [sent] = [one for one in shard(spec, at, at + count).contents if one.name == WEIGHTS]
        assert file.read_bytes() == b"".join(sent.blocks(1 << 20))
        assert not _parts(lab[name], ".part")
        at += count
    assert at == LAYERS

    assert len(setup.start(*asked, "--record", str(second), "--json").answer()["tokens"]) == 8
    assert _copied(second) == [], "what is there was copied again"

"""Plans kept by name, and compared."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from core.circumstances import hosts, wires
from core.plan.compare import difference, moves
from core.plan.forecast import Pricing
from core.plan.plan import PlanError, Stage
from core.plan.setting import Setting
from core.shelf import Shelf
from tests.tui import scenes


def test_a_kept_plan_comes_back_without_the_days_figures(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "plans")
    assert shelf.load() == ([], [])
    shelf.save("  fast \x1b[31mone ", replace(scenes.plan(), obstacle="not today"))
    (kept,), wrong = Shelf(tmp_path / "plans").load()
    assert not wrong
    assert (kept.name, kept.plan.stages, kept.plan.obstacle) == ("fast one", scenes.plan().stages, "")


def test_only_its_owner_can_read_it_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "plans")
    shelf.save("a", scenes.plan())
    shelf.save("a", scenes.plan((10, 10, 10)))
    (file,) = (tmp_path / "plans").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert shelf.load()[0][0].plan.split == (10, 10, 10)


def test_names_are_anything_but_nothing_and_never_a_path(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "plans")
    for name in ("../../out", "..", "é", "è", "x" * 300, "A", "a"):
        shelf.save(name, scenes.plan())
    assert sorted(kept.name for kept in shelf.load()[0]) == sorted(
        ["../../out", "..", "é", "è", "x" * 40, "A", "a"]
    )
    assert {path.parent for path in tmp_path.rglob("*.json")} == {tmp_path / "plans"}
    with pytest.raises(PlanError, match="needs a name"):
        shelf.save(" \x07", scenes.plan())
    shelf.remove("..")
    assert len(shelf.load()[0]) == 6


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "truncated"),
        ('{"format": "other", "name": "n", "saved": 0, "plan": %s}', "this exo-tui reads"),
        ('{"name": "n", "saved": 0, "plan": {}}', "missing required field"),
    ],
)
def test_a_file_that_is_no_plan_is_named_and_the_others_are_read(tmp_path: Path, text: str, why: str) -> None:
    shelf = Shelf(tmp_path)
    shelf.save("good", scenes.plan())
    whole = msgspec.json.encode(scenes.plan()).decode()
    (tmp_path / "bad.json").write_text(text.replace("%s", whole))
    kept, (wrong,) = shelf.load()
    assert [one.name for one in kept] == ["good"]
    assert wrong.startswith("bad.json: ") and why in wrong


def test_a_plan_with_a_gap_is_not_taken_from_the_shelf(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.save("gap", replace(scenes.plan(), stages=(Stage("demo-a", 0, 3), Stage("demo-b", 5, 30))))
    kept, (wrong,) = shelf.load()
    assert not kept and "held by nobody" in wrong


def test_two_plans_differ_in_what_moves_and_what_it_costs() -> None:
    one, other = scenes.plan(), scenes.plan((14, 10, 6))
    assert [move.line for move in moves(one.stages, other.stages)] == [
        "layers 12–13: demo-b → demo-a",
        "layers 22–23: demo-c → demo-b",
    ]
    assert [move.line for move in moves(one.stages, scenes.plan((13, 9, 8)).stages)] == [
        "layer 12: demo-b → demo-a"
    ]
    state = scenes.fold(scenes.planned())
    pricing = Pricing(Setting(scenes.SPEC, hosts(state), wires(state), 4096))
    figures = pricing.figures(one.stages), pricing.figures(other.stages)
    said = difference(scenes.SPEC, one, other, figures)
    assert said[2] == "4 of 30 layers lie elsewhere, 8 MiB of weights to load there"
    assert "tok/s (" in said[3] and said[4].startswith("first token") and "on demo-c" in said[5]
    assert difference(scenes.SPEC, one, one, figures) == ["the same layers on the same devices"]
    assert pricing.figures([Stage("nobody", 0, 30)]) is None

"""Plans kept by name, a file each, for whoever has found one worth keeping."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from core.files import write_private
from core.plan.check import check_cover
from core.plan.plan import Plan, PlanError
from core.text import MALFORMED, clean_line

FORMAT = "exo-tui-plan/1"
LONGEST = 40
"""Characters of a name."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A plan on the shelf."""

    format: str = FORMAT
    name: str
    saved: float
    """Unix time."""
    plan: Plan


class Shelf:
    """The plans in a folder. Every method may block on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> tuple[list[Kept], list[str]]:
        """What is kept, by name, and a line about each file that cannot be read."""
        kept: list[Kept] = []
        wrong: list[str] = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                kept.append(_read(path))
            except (OSError, *MALFORMED, PlanError) as error:
                wrong.append(clean_line(f"{path.name}: {error}"))
        return sorted(kept, key=lambda one: one.name.lower()), wrong

    def save(self, name: str, plan: Plan) -> Kept:
        """Keep a plan under a name, in place of one of the same name. Raises PlanError for a name that is
        none, OSError."""
        name = clean_line(name, LONGEST)
        if not name:
            raise PlanError("a plan needs a name to be kept under")
        # Figures and obstacles are the day's; they are computed anew.
        one = Kept(name=name, saved=time.time(), plan=replace(plan, forecast=None, obstacle=""))
        write_private(self._path(name), msgspec.json.encode(one) + b"\n")
        return one

    def remove(self, name: str) -> None:
        """Forget a plan. Raises OSError."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        # A name can hold anything, a file's name cannot.
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name.lower())
        return self._folder / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.json"


def _read(path: Path) -> Kept:
    one = msgspec.json.decode(path.read_bytes(), type=Kept)
    if one.format != FORMAT:
        raise PlanError(f"is a {one.format!r}; this exo-tui reads {FORMAT!r}")
    check_cover([(stage.start, stage.end) for stage in one.plan.stages], one.plan.layers)
    names = [name for stage in one.plan.stages for name in stage.devices]
    if len(set(names)) < len(names):
        raise PlanError("it uses a device twice")
    stages = tuple(
        replace(stage, device=clean_line(stage.device), members=tuple(map(clean_line, stage.members)))
        for stage in one.plan.stages
    )
    plan = replace(one.plan, stages=stages, model=clean_line(one.plan.model), why=("loaded from the shelf",))
    return replace(one, name=clean_line(one.name, LONGEST), plan=plan)

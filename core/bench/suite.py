"""What a benchmark measures: a small TOML file, one of those shipped or one's own."""

from __future__ import annotations

import hashlib
import tomllib
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from core.folders import config_folder, typed
from core.plan.memory import blocks
from core.text import clean_line

FOLDER = Path(__file__).parent / "suites"

KEPT = 8
"""Contexts that ranks keep at a time, whether there is room for more or not (core.worker.slots.MOST)."""

Tokens = Annotated[int, Meta(ge=1, le=10**7)]
Known = Literal["auto", "even", "exo", "memory", "single", "neighbours"]
"""The planner's own plan; layers evenly; exo's rule; in proportion to memory; all on the device where that is
forecast fastest; the plans around the planner's own, a few layers moved from one device to the next."""


class SuiteError(ValueError):
    """The suite cannot be used; the text names the file and the reason, in one line."""


class Point(msgspec.Struct, frozen=True):
    """One thing to measure: so many prompt tokens after `depth` tokens of context that is there already,
    `generate` tokens answered to each, `concurrency` requests at once."""

    prompt: int
    depth: int
    generate: int
    concurrency: int

    @property
    def length(self) -> int:
        """Tokens one request comes to."""
        return self.depth + self.prompt + self.generate

    @property
    def label(self) -> str:
        """As llama-bench writes it: `pp512 tg128 @ d4096`, with `×4` for four at once."""
        text = f"pp{self.prompt} tg{self.generate}"
        text += f" @ d{self.depth}" if self.depth else ""
        return text + (f" ×{self.concurrency}" if self.concurrency > 1 else "")


class NamedSplit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[plan]]` of a suite: layers per stage, and the devices in order where they matter. Without a split
    it is the plan that was kept under this name."""

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    split: tuple[Annotated[int, Meta(ge=1)], ...] = ()
    on: tuple[str, ...] = ()
    """`a+b` for two that share their layers."""


class Repeats(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When repeating a point ends: once half the 95 % interval is under `precision` of the mean, or with
    `most` repeats. Never before `least`, nor before they took `seconds` in all: what is shorter says more of
    whatever else the machine did in that moment (5 s as Criterion.rs's measurement time)."""

    least: Annotated[int, Meta(ge=1, le=1000)] = 3
    most: Annotated[int, Meta(ge=1, le=1000)] = 10
    precision: Annotated[float, Meta(gt=0, lt=1)] = 0.02
    seconds: Annotated[float, Meta(ge=0, le=10**5)] = 5.0


class Goal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a request must keep to count as good: seconds to its first token, and mean seconds a token."""

    ttft_s: Annotated[float, Meta(gt=0)]
    token_s: Annotated[float, Meta(gt=0)]


class Choosing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How tokens are chosen. Answers never end early: every request has the length the point says."""

    temperature: Annotated[float, Meta(ge=0, le=100)] = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    seed: int = 1


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every combination of the four lists is a point, measured on every plan in each launch of it."""

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    about: str = ""
    prompt: Annotated[tuple[Tokens, ...], Meta(min_length=1)] = (128,)
    depth: Annotated[tuple[Annotated[int, Meta(ge=0, le=10**7)], ...], Meta(min_length=1)] = (0,)
    generate: Annotated[tuple[Tokens, ...], Meta(min_length=1)] = (64,)
    concurrency: Annotated[tuple[Annotated[int, Meta(ge=1, le=64)], ...], Meta(min_length=1)] = (1,)
    plans: tuple[Known, ...] = ("auto",)
    plan: tuple[NamedSplit, ...] = ()
    launches: Annotated[int, Meta(ge=1, le=100)] = 1
    warmups: Annotated[int, Meta(ge=0, le=100)] = 1
    warm_s: Annotated[float, Meta(ge=0, le=10**5)] = 3.0
    """What does not count at the start of each launch: so many repeats of every point, and more until they
    took so many seconds in all (3 as Criterion.rs's warm-up time): at first a device has more to do."""
    repeats: Repeats = Repeats()
    sampling: Choosing = Choosing()
    goal: Goal | None = None
    seed: int = 1
    """Of the prompts, which are tokens drawn at random, as llama-bench's are."""

    @property
    def points(self) -> tuple[Point, ...]:
        """In the order of the lists, the last one turning fastest."""
        lists = (self.prompt, self.depth, self.generate, self.concurrency)
        return tuple(Point(*values) for values in product(*lists))

    @property
    def sha256(self) -> str:
        """Over all that is measured, not over name and description."""
        bare = msgspec.structs.replace(self, name="-", about="")
        return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()

    @property
    def longest(self) -> int:
        """Tokens of context the longest request needs."""
        return max(point.length for point in self.points)

    @property
    def room(self) -> int:
        """Tokens the caches must have room for, so that what is asked at once is answered at once."""
        return max(point.concurrency * blocks(point.length) for point in self.points)


def shipped() -> tuple[str, ...]:
    """Names of the suites that come with exo-tui."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def own() -> tuple[str, ...]:
    """Names of the user's suites, which are files in the folder of the settings."""
    return tuple(sorted(path.stem for path in (config_folder() / "suites").glob("*.toml")))


def load(name: str) -> Suite:
    """A suite of the user's or a shipped one by name, or the one in a file. Raises SuiteError."""
    folder = config_folder() / "suites" if name in own() else FOLDER
    path = folder / f"{name}.toml" if name in (*own(), *shipped()) else typed(name)
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        known = ", ".join((*own(), *shipped()))
        raise SuiteError(f"there is no suite {clean_line(name)}: neither a file nor one of {known}") from None
    except OSError as error:
        raise SuiteError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SuiteError(f"{path}: {clean_line(str(error))}") from None


def decode(data: bytes) -> Suite:
    """The suite in a TOML document. Raises ValueError."""
    suite = msgspec.convert(tomllib.loads(data.decode()), Suite)
    if suite.repeats.most < suite.repeats.least:
        raise ValueError(f"repeats: most is {suite.repeats.most}, less than least, {suite.repeats.least}")
    if not suite.plans and not suite.plan:
        raise ValueError("no plan to measure: name one in `plans` or give a [[plan]]")
    if any(suite.depth) and max(suite.concurrency) > KEPT:
        told = f"{max(suite.concurrency)} requests at once, and a depth"
        raise ValueError(f"{told}: ranks keep {KEPT} contexts at a time, so that others were read again")
    names = [*suite.plans, *(one.name for one in suite.plan)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"plan {', '.join(sorted(twice))} is named twice")
    for one in suite.plan:
        if one.on and len(one.on) != len(one.split):
            raise ValueError(f"plan {one.name} has {len(one.split)} parts on {len(one.on)} devices")
    return msgspec.structs.replace(suite, name=clean_line(suite.name), about=clean_line(suite.about))

# pyright: basic
"""Which requests decode together, decided by rank 0 between steps.

There are as many groups under way as the pipeline has stages, so that none has to wait for another, and the
requests are spread evenly over them: a pass costs little more for several requests than for one.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

from .sample import Drawn
from .stream import Stream

# Merged caches are padded to the longest: so many tokens a request cost nothing, as caches grow by that many
# anyway; beyond, a part of those that are real.
FREE, PART = 256, 0.5


@dataclass(eq=False)
class Group:
    """Requests that decode together, and whether a step of theirs is under way. `ahead`: one that was begun
    before the tokens it was fed were known."""

    index: int
    streams: list[Stream] = field(default_factory=list)
    asked: bool = False
    ahead: Drawn | None = None

    @property
    def rests(self) -> bool:
        """Whether nothing of it is under way, so that requests may come and go."""
        return not self.asked and self.ahead is None

    def padding(self, more: Stream | None = None) -> int:
        """Tokens without meaning in the merged caches, `more` being with them."""
        lengths = [one.fed_tokens for one in (*self.streams, *([more] if more else []))]
        return max(lengths, default=0) * len(lengths) - sum(lengths)

    @property
    def tokens(self) -> int:
        """Tokens in the caches of all."""
        return sum(one.fed_tokens for one in self.streams)


class Groups:
    """The groups of all requests that decode."""

    def __init__(self, parts: int, merges: bool, room: Callable[[int], bool]) -> None:
        """`parts`: stages of the pipeline; `room`: whether so many tokens of padding have room."""
        self._parts, self._merges, self._room = parts, merges, room
        self._groups: deque[Group] = deque()  # in the order of their turns
        self._loose: list[Stream] = []
        self._indices = itertools.count()

    def append(self, stream: Stream) -> None:
        """A request's prompt is done with but for its last token."""
        self._loose.append(stream)

    @property
    def count(self) -> int:
        """Requests that decode."""
        return len(self._loose) + sum(len(group.streams) for group in self._groups)

    @property
    def padding(self) -> int:
        """Tokens without meaning in all merged caches."""
        return sum(group.padding() for group in self._groups)

    @property
    def steady(self) -> bool:
        """Whether there is one group, and nobody who waits to be with it."""
        return len(self._groups) == 1 and not self._loose

    @property
    def ahead(self) -> bool:
        """Whether a group has a step ahead."""
        return any(group.ahead is not None for group in self._groups)

    def next(self) -> Group | None:
        """The group whose turn it is, if one is not under way; from here on it is."""
        self._sort()
        for _ in range(len(self._groups)):
            group = self._groups[0]
            self._groups.rotate(-1)
            if not group.asked:
                group.asked = True
                return group
        return None

    def _sort(self) -> None:
        """Let requests go that are over, and spread the others."""
        self._loose = [one for one in self._loose if not one.over]
        resting = [group for group in self._groups if group.rests]
        for group in resting:
            group.streams = [one for one in group.streams if not one.over]
        most = max(1, ceil(self.count / self._parts)) if self._merges else 1
        for group in resting:
            self._loose += group.streams[most:]
            del group.streams[most:]
        for stream in self._loose[:]:
            fit = [one for one in self._groups if len(one.streams) < most and self._fits(one, stream)]
            ready = [one for one in fit if one.rests]
            if ready:
                min(ready, key=lambda one: len(one.streams)).streams.append(stream)
            elif not fit or len(self._groups) < self._parts:
                self._groups.append(Group(next(self._indices), [stream]))
            else:  # a group with room for it comes back soon
                continue
            self._loose.remove(stream)
        self._groups = deque(one for one in self._groups if one.streams or not one.rests)

    def _fits(self, group: Group, stream: Stream) -> bool:
        padding = group.padding(stream)
        free = max(FREE * (len(group.streams) + 1), PART * (group.tokens + stream.fed_tokens))
        return padding <= free and self._room(self.padding - group.padding() + padding)

"""The figures of what is on the board, computed beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from core.circumstances import closely
from core.plan.plan import Forecast, Plan
from tui.table import Table

if TYPE_CHECKING:
    from core.quote import Quote, Quoter


class Quotes:
    """Keeps to the newest figures there are; calls `changed` when they are others."""

    def __init__(self, table: Table, changed: Callable[[], None]) -> None:
        self._table = table
        self._changed = changed
        self._quoter: Quoter | None = None
        self._quote: Quote | None = None
        self._asked: object = None
        self._known: object = None
        self._task: asyncio.Task[None] | None = None
        self.left_out: Mapping[str, str] = {}
        """Why devices are not in the plan, as of the last time nothing was held."""

    @property
    def busy(self) -> bool:
        """Others are being computed."""
        return self._task is not None and not self._task.done()

    @property
    def pending(self) -> bool:
        """Those of what is shown are still to come."""
        return self._table.shown is not None and self._key() != self._known

    def of(self, plan: Plan) -> Forecast | None:
        """The figures of a plan, or of the one before while they are computed; None where they cannot be."""
        forecast = self._quote.forecast if self._quote else None
        return forecast if forecast and len(forecast.stages) == len(plan.stages) else None

    @property
    def auto(self) -> Forecast | None:
        """Those of the automatic plan."""
        return self._quote.auto if self._quote else None

    def want(self) -> None:
        """Compute them if they are not those of what is shown."""
        if not self.busy and self._table.shown is not None and self._key() != self._asked:
            self._task = asyncio.create_task(self._follow())

    def _key(self) -> object:
        plan, table = self._table.shown, self._table
        assert plan is not None
        return closely(table.state), plan.stages, plan.context, table.auto, table.hold is None

    async def _follow(self) -> None:
        while (plan := self._table.shown) is not None and (key := self._key()) != self._asked:
            self._asked, why = key, self._table.hold is None
            if self._quoter is None:
                self._quoter = await asyncio.to_thread(_new_quoter)
            state, auto = self._table.state, self._table.auto
            self._quote = await asyncio.to_thread(self._quoter.quote, state, plan, auto, why=why)
            self._known = key
            if why:
                self.left_out = self._quote.left_out
            self._changed()

    async def close(self) -> None:
        """Compute nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def _new_quoter() -> Quoter:
    """Imports numpy and the cost model: a thread's work."""
    from core.quote import Quoter

    return Quoter()

"""The requests that wait or are being answered, whoever asked."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core import events as ev
from core.state import ClusterState, Request
from tui.widgets.cells import Cell, line, mark, pointer, table
from tui.widgets.figures import duration
from tui.widgets.rows import StateRows

STATUS: dict[str, Cell] = {
    "waiting": ("○ waiting", "$muted"),
    "prefill": ("○ prefill", "$text-primary"),
    "decode": ("▸ decode", "$text-success"),
}


def queue(state: ClusterState) -> tuple[Request, ...]:
    """What the table shows: nothing when only the chat asks, which shows its own request itself."""
    return state.queue if any(request.source != "chat" for request in state.open) else ()


def request_rows(state: ClusterState, width: int, chosen: str | None = None) -> list[Content]:
    """A heading and a row for each request, in their order; nothing when there is none and no API either."""
    requests = queue(state)
    rows = [_served(state.api, width)] if state.api else []
    if not requests:
        return rows
    keys = "d ends the chosen one, J and K move it while it waits"
    about = f"  {len(requests)} open  {keys}"
    rows.append(line(("Requests", "bold $text-accent"), (about, "$muted"), width=width))
    cells = [_request(request, state.now, request.id == chosen) for request in requests]
    for request, row in zip(requests, table(cells, width, flex=3, right=(4, 5, 6), drop=(2,)), strict=True):
        rows.append(mark(row, width) if request.id == chosen else row)
    return rows


def _served(api: ev.ApiServed, width: int) -> Content:
    who = "with the token of EXO_TUI_TOKEN" if api.token else "no token, this computer only"
    told: list[Cell] = [(f"  ● {api.url}", "$text-success"), (f"  {who}  A ends it", "$muted")]
    return line(("API", "bold $text-accent"), *told, width=width)


def _request(request: Request, now: float, chosen: bool) -> list[Cell]:
    done, speed = f"{len(request.ids)} tok", ""
    if request.status == "prefill":
        done = f"{request.prefilled}/{request.prefill_total}"
    elif len(request.ids) > 1 and now > request.first:
        speed = f"{(len(request.ids) - 1) / (now - request.first):.1f} tok/s"
    return [
        pointer(chosen),
        STATUS[request.status],
        (request.source, "$muted"),
        (request.prompt, ""),
        (duration(max(0.0, now - request.started)), "$muted"),
        (done, ""),
        (speed, "bold"),
    ]


class Requests(StateRows):
    """The table of open requests, one of them chosen."""

    chosen: str | None = None

    def rows(self, state: ClusterState, width: int) -> Sequence[Content]:
        """See `request_rows`."""
        rows, ids = request_rows(state, width, self.chosen), [request.id for request in queue(state)]
        self.keys = [*[None] * (len(rows) - len(ids)), *ids]
        return rows

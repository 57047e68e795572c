"""A prompt with its answer, as rows."""

from __future__ import annotations

from textual.content import Content

from core.intents import why_not_resume
from core.state import ClusterState, Request
from tui.widgets.cells import Cell
from tui.widgets.figures import bar
from tui.widgets.markdown import QUIET, Document, lines
from tui.widgets.rows import Rows

GLIMPSE = 4
"""Rows of a thought that are shown while it is being thought."""
_TAIL = 2000
"""Characters of a thought that are looked at for those rows."""
KEYS = "e edit · r again · y copy · Y copy code"
MEANWHILE = "s ends it · y copy · Y copy code"
"""While the answer is being written."""


def stats(request: Request, state: ClusterState) -> list[Cell]:
    """What an answer cost, or how it ended."""
    done = request.done
    if done is None:
        return []
    parts: list[str] = []
    if done.decode_tps is not None:
        parts.append(f"{done.decode_tps:.1f} tok/s")
    if done.ttft_s is not None:
        parts.append(f"TTFT {done.ttft_s:.2f} s")
    if done.prefill_tps is not None:
        parts.append(f"prefill {done.prefill_tps:.0f} tok/s")
    parts.append(f"{done.tokens} token{'' if done.tokens == 1 else 's'}")
    if done.reused_tokens:
        parts.append(f"{done.reused_tokens} of {done.prompt_tokens} prompt tokens from cache")
    figures: Cell = (" · ".join(parts), QUIET)
    match done.why:
        case "stop":
            return [figures]
        case "length":
            limit = context(state)
            full = limit and done.prompt_tokens + done.tokens >= limit
            told = "the context is full; n starts anew" if full else "cut at the token limit"
            return [(f"■ {told} · ", "$text-warning"), figures]
        case "cancel":
            return [("■ stopped · ", "$text-warning"), figures]
        case "error":
            return [(f"✖ failed: {done.detail or 'no reason given'}", "$text-error")]


def context(state: ClusterState) -> int:
    """Tokens that prompt and answer may have together: of the live run, else of the plan; 0 without one."""
    plan = state.run.plan if state.run and state.run.live else state.plan
    return plan.context if plan else 0


def status_line(request: Request, state: ClusterState) -> list[Cell]:
    """The line under an answer: progress while it is written, its cost afterwards."""
    match request.status:
        case "done":
            return stats(request, state)
        case "waiting":
            if state.recovering and state.recovery is not None:
                return [(f"▲ interrupted; {state.recovery.text}", "$text-warning")]
            run = state.run
            if run is not None and run.live and run.ready is None:
                up = sum(rank.phase == "ready" for rank in run.ranks)
                return [(f"○ waiting for the run: {up} of {len(run.ranks)} ranks ready", "$text-primary")]
            before = [one.id for one in state.open].index(request.id) if request in state.open else 0
            if before:
                told = f"○ number {before + 1} in the queue, behind {_requests(before)}"
                return [(told, "$text-primary")]
            return [("○ waiting for the model", "$text-primary")]
        case "prefill":
            share = request.prefilled / request.prefill_total if request.prefill_total else 0.0
            told = f"○ reading the prompt {bar(share, 10)} {request.prefilled}/{request.prefill_total}"
            return [(told, "$text-primary")]
        case "decode":
            speed = f" · {state.decode.last:.1f} tok/s" if state.decode.last else ""
            count = len(request.ids)
            return [(f"▸ writing · {count} token{'' if count == 1 else 's'}{speed}", "$text-primary")]


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


def thought_rows(request: Request, width: int, opened: bool | None) -> list[Content]:
    """What the model thought: its end while it thinks, a line about it afterwards, all of it when opened."""
    if not request.thought:
        return []
    thinking = not request.text and request.done is None
    count = len(request.thought.split())
    about = f"{'thinking' if thinking else 'thought'}, {count} word{'' if count == 1 else 's'}"
    shown = opened if opened is not None else False
    key = "t hides it" if shown else "t shows it"
    head = Content.assemble((f"{'▾' if shown else '▸'} {about}", "$text-secondary"), (f"  {key}", QUIET))
    if shown:
        told = lines(request.thought.strip("\n"), width - 2, f"italic {QUIET}")
    elif thinking:
        told = lines(request.thought[-_TAIL:].rstrip("\n"), width - 2, f"italic {QUIET}")[-GLIMPSE:]
    else:
        told = []
    return [head, *(Content.styled("│ ", QUIET) + row for row in told)]


class Exchange(Rows):
    """One prompt with its answer. Only the rows that changed are made and painted again."""

    def __init__(self, request: Request, state: ClusterState, width: int) -> None:
        super().__init__(classes="exchange")
        self.request, self._state = request, state
        self.opened: bool | None = None
        """Whether the thought is shown whole; None: only while somebody waits for what comes of it."""
        self._document = Document()
        self._prompt: tuple[int, list[Content]] = (0, [])
        self._rows = self._made(width)

    @property
    def chosen(self) -> bool:
        """The keys of the conversation are about this one."""
        return self.has_class("-chosen")

    @chosen.setter
    def chosen(self, chosen: bool) -> None:
        if chosen != self.chosen:
            self.set_class(chosen, "-chosen")
            self.redraw()

    def draw(self, request: Request, state: ClusterState) -> None:
        """Show the request as it is in `state`."""
        if request is not self.request or request.done is None:
            self.request, self._state = request, state
            self.redraw()

    def redraw(self) -> None:
        """Show it again, as another width or choice makes it."""
        if self.size.width:
            self.show(self._made(self.size.width))

    def on_resize(self) -> None:
        """Rows are made for a width."""
        self.redraw()

    def _made(self, width: int) -> list[Content]:
        request, width = self.request, max(1, width)
        if self._prompt[0] != width:
            rows = lines(request.prompt, width)
            padded = [row.pad_right(max(0, width - row.cell_length)) for row in rows]
            self._prompt = width, [row.stylize_before("bold on $surface") for row in padded]
        made = [*self._prompt[1], *thought_rows(request, width, self.opened)]
        if text := request.text.strip("\n"):
            made += self._document.rows(text, width)
        if told := status_line(request, self._state):
            made += Content.assemble(*told).wrap(width)
        if self.chosen:
            keys = MEANWHILE if request.done is None else KEYS
            if why_not_resume(self._state, request.id) is None:
                keys = f"C continue · {keys}"
            made += Content.styled(keys, "$text-accent").wrap(width)
        return made

"""The conversation: prompts, answers as they are written, and what each cost."""

from __future__ import annotations

from markdown_it import MarkdownIt
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.message import Message
from textual.widgets import Markdown, Static

from core.state import ClusterState, Request
from tui.widgets.cells import Cell, line
from tui.widgets.composer import Composer
from tui.widgets.figures import bar
from tui.widgets.rows import Rows
from tui.widgets.scroller import Scroller

_LONG = 500
"""Wider than any status; the widget cuts it where it must."""
KEPT = 40
"""Messages on the screen; older ones stay in the state and in the recording."""


def parser() -> MarkdownIt:
    """Markdown without HTML: an answer about `<div>` should show it."""
    return MarkdownIt("gfm-like", {"html": False})


def stats(request: Request) -> list[Cell]:
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
    figures: Cell = (" · ".join(parts), "$muted")
    match done.why:
        case "stop":
            return [figures]
        case "length":
            return [("■ cut at the token limit · ", "$text-warning"), figures]
        case "cancel":
            return [("■ stopped · ", "$text-warning"), figures]
        case "error":
            return [(f"✖ failed: {done.detail or 'no reason given'}", "$text-error")]


def status_line(request: Request, state: ClusterState) -> list[Cell]:
    """The line under an answer: progress while it is written, its cost afterwards."""
    match request.status:
        case "done":
            return stats(request)
        case "waiting":
            if state.recovering and state.recovery is not None:
                return [(f"▲ interrupted; {state.recovery.text}", "$text-warning")]
            run = state.run
            if run is not None and run.live and run.ready is None:
                up = sum(rank.phase == "ready" for rank in run.ranks)
                return [(f"○ waiting for the run: {up} of {len(run.ranks)} ranks ready", "$text-primary")]
            return [("○ waiting for the model", "$text-primary")]
        case "prefill":
            share = request.prefilled / request.prefill_total if request.prefill_total else 0.0
            told = f"○ reading the prompt {bar(share, 10)} {request.prefilled}/{request.prefill_total}"
            return [(told, "$text-primary")]
        case "decode":
            speed = f" · {state.decode.last:.1f} tok/s" if state.decode.last else ""
            count = len(request.ids)
            return [(f"▸ writing · {count} token{'' if count == 1 else 's'}{speed}", "$text-primary")]


class Exchange(Vertical):
    """One prompt with its answer."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._shown = ""

    def compose(self) -> ComposeResult:
        """Prompt, answer, status; no markup is read in the prompt."""
        yield Static(Content(self._request.prompt), classes="prompt", markup=False)
        yield Markdown(parser_factory=parser, open_links=False)
        yield Rows(classes="status")

    async def draw(self, request: Request, state: ClusterState) -> None:
        """Show what is new of the answer; start over when the text is no longer a continuation."""
        text, markdown = request.text, self.query_one(Markdown)
        if text != self._shown:
            if text.startswith(self._shown):
                await markdown.append(text[len(self._shown) :])
            else:
                await markdown.update(text)
            self._shown = text
        markdown.display = bool(text)
        told = status_line(request, state)
        self.query_one(".status", Rows).show([line(*told, width=_LONG)] if told else [])


class ChatLog(Scroller):
    """The messages of the current conversation."""

    def __init__(self) -> None:
        super().__init__(id="chatlog")
        self._exchanges: dict[str, Exchange] = {}
        self._hint = ""

    async def draw(self, state: ClusterState, hint: str) -> None:
        """Show the current conversation of `state`; `hint` where it is empty."""
        ids = state.conversations.get(state.conversation, ())[-KEPT:]
        for gone in [key for key in self._exchanges if key not in ids]:
            await self._exchanges.pop(gone).remove()
        empty = self.query_one("#nothing", Static)
        empty.display = not ids
        if not ids and hint != self._hint:
            self._hint = hint
            empty.update(Content(hint))
        for key in ids:
            request = state.requests[key]
            known = self._exchanges.get(key)
            if known is None:
                known = self._exchanges[key] = Exchange(request)
                await self.mount(known)
                self.anchor()
            await known.draw(request, state)

    def compose(self) -> ComposeResult:
        """A line for the empty conversation."""
        yield Static("", id="nothing", markup=False)


class ChatPane(Vertical):
    """The conversation and where to write."""

    BORDER_TITLE = "2 Chat"

    class Wanted(Message):
        """The composer is wanted."""

    def compose(self) -> ComposeResult:
        """Messages above the composer."""
        yield ChatLog()
        yield Composer()

    def on_key(self, event: Key) -> None:
        """Enter on the messages goes to the composer."""
        if event.key == "enter" and not self.query_one(Composer).has_focus:
            event.stop()
            self.post_message(self.Wanted())

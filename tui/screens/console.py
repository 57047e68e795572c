"""The main screen: four panes, drawn from the state by timers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message

from core.state import ClusterState
from tui import keymap
from tui.desk import Desk
from tui.host import app_of
from tui.notices import notices
from tui.screens.chatting import Chatting, prompts
from tui.screens.playing import Playing
from tui.screens.questions import Questions
from tui.widgets import markdown, plot
from tui.widgets.chathead import ChatHead
from tui.widgets.chatlog import ChatLog, ChatPane
from tui.widgets.cluster import ClusterPane
from tui.widgets.composer import Composer
from tui.widgets.keybar import KeyBar
from tui.widgets.log import LogPane
from tui.widgets.playbar import PlayBar
from tui.widgets.plots import CHARTS, PlotsPane
from tui.widgets.topbar import PANES, TopBar

CLUSTER_EVERY = 0.5
PLOTS_EVERY = 0.5
CHAT_EVERY = 0.1

ASKABLE = ("launch", "stop", "ask", "cancel", "new", "conversations", "manner", "models", "record", "serve")
_ACTIONS = {"compose_prompt": "ask"}
"""Actions of the screen whose name at the desk differs."""
_PLAYBACK = {"play", "step", "speed", "seek", "mark"}
_FOCUS = {"cluster": "#cluster", "chat": "#chatlog", "plots": "#plots", "log": "#log Scroller"}

_WIDTHS = [(0, "-narrow"), (140, "-wide")]
_HEIGHTS = [(0, "-short"), (40, "-tall")]
"""From so many cells on, the screen has this class."""


class ConsoleScreen(Chatting, Questions, Playing):
    """Arrival of data never paints. Each timer looks whether the state is another one, then draws it."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.CONSOLE, *keymap.PLAYBACK]
    VERBS: ClassVar[Mapping[str, str]] = {
        "new": "start a new chat",
        "cancel": "end an answer",
        "conversations": "open conversations",
        "manner": "change the conversation",
        "models": "choose a model",
    }
    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS

    class Painted(Message):
        """The first picture is out."""

    def __init__(self, desk: Desk, title: str) -> None:
        super().__init__()
        self.desk = desk
        self._heading = title
        self._drawn: ClusterState | None = None
        self._told: ClusterState | None = None
        self._reasons: tuple[str | None, ...] = ()

    def compose(self) -> ComposeResult:
        """In a narrow or short terminal CSS shows one pane, the one marked as front."""
        self.add_class(*self._breakpoints())
        yield TopBar(self._heading)
        with Container(id="panes"):
            yield ClusterPane(id="cluster", classes="pane -front")
            yield ChatPane(id="chat", classes="pane")
            yield PlotsPane(id="plots", classes="pane")
            yield LogPane(id="log", classes="pane")
        if self.desk.playback is not None:
            yield PlayBar(id="playbar")
        yield KeyBar()

    def _breakpoints(self) -> Iterator[str]:
        # Textual sets these once the screen has a size, and then styles and lays out everything once more.
        for length, classes in zip(app_of(self).size, (_WIDTHS, _HEIGHTS), strict=True):
            yield max(pair for pair in classes if pair[0] <= length)[1]

    def on_mount(self) -> None:
        """Paint as soon as it is known how large things are."""
        self.query_one("#cluster").focus()
        self.call_after_refresh(self._begin)

    async def _begin(self) -> None:
        """Paint, then by timers; whatever else there is to load would only delay the first picture."""
        await self.paint()
        self.set_interval(CLUSTER_EVERY, self.paint_cluster)
        self.set_interval(CHAT_EVERY, self.paint_chat)
        self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        self.post_message(self.Painted())
        self.run_worker(self._plots(), group="plots")

    async def _plots(self) -> None:
        """Loading what reads answers and what draws plots is not the event loop's work."""
        for load in (markdown.load, plot.load):
            await asyncio.to_thread(load)
        self.set_interval(PLOTS_EVERY / len(CHARTS), self.paint_plot)

    async def paint(self) -> None:
        """Draw everything at once, where a person asked for a change and waits to see it."""
        self.paint_cluster()
        await self.paint_chat()

    def paint_cluster(self) -> None:
        """Draw all but charts and chat."""
        desk, state = self.desk, self.desk.state
        if desk.playback is not None:
            self.query_one(PlayBar).draw(desk.playback)
        reasons = tuple(desk.why_not(action) for action in ASKABLE)
        if reasons != self._reasons:
            self._reasons = reasons
            self.refresh_bindings()
        self.ask_trust(state)
        self.ask_recovery(state)
        if state is self._drawn:
            return
        if self._drawn is not None and (desk.playback is None or not desk.playback.paused):
            for notice in notices(self._drawn, state):
                self.notify(
                    notice.text, title=notice.title, severity=notice.severity, timeout=10, markup=False
                )
        self._drawn = state
        self.query_one(TopBar).draw(state)
        self.query_one(ClusterPane).draw(state)
        self.query_one(LogPane).draw(state)

    def stale(self) -> None:
        """Draw at the next look, whatever has changed."""
        self._drawn = None

    def paint_plots(self) -> None:
        """Draw the charts when they can be seen."""
        pane = self.query_one(PlotsPane)
        if pane.display and pane.size.width:
            pane.draw(self.desk.state)

    def paint_plot(self) -> None:
        """Draw one chart when it can be seen, each in its turn."""
        pane = self.query_one(PlotsPane)
        if self.is_active and pane.display and pane.size.width:
            pane.draw_next(self.desk.state)

    async def paint_chat(self) -> None:
        """Draw what is new in the conversation."""
        desk, state = self.desk, self.desk.state
        if state is self._told:
            return
        self._told = state
        self.query_one(Composer).draw(desk.why_not("ask"), desk.playback is not None, prompts(state))
        self.query_one(ChatHead).draw(state)
        hint = desk.why_not("ask")
        told = f"Nothing to ask yet: {hint}." if hint else "Press i and write; enter sends."
        await self.query_one(ChatLog).draw(state, told)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that do nothing now are dimmed, those that can never work here are left out."""
        replay = self.desk.playback is not None
        if action in _PLAYBACK:
            return replay
        name = _ACTIONS.get(action, action)
        if name not in ASKABLE:
            return True
        if replay:
            return False
        if name == "ask":
            return True  # a prompt can be written while it cannot be sent
        possible = self.desk.why_not(name) is None
        return True if possible else False if name == "cancel" else None

    def why_not(self, action: str, parameters: tuple[object, ...] = ()) -> str | None:
        """The reason an action of this screen is not possible now."""
        name = _ACTIONS.get(action, action)
        return self.desk.why_not(name) if name in ASKABLE else None

    def action_pane(self, name: str) -> None:
        """Bring a pane to the front and give it the focus."""
        self._front(name)
        self.query_one(_FOCUS[name]).focus()

    def _front(self, name: str) -> None:
        for pane in PANES:
            self.query_one(f"#{pane}").set_class(pane == name, "-front")
        bar = self.query_one(TopBar)
        bar.front = name
        bar.redraw()

    def action_cycle(self, step: int) -> None:
        """The next pane, or the one before."""
        at = PANES.index(self.query_one(TopBar).front)
        self.action_pane(PANES[(at + step) % len(PANES)])

    def action_compose_prompt(self) -> None:
        """Write a prompt."""
        if self.query_one(Composer).disabled:
            self.action_pane("chat")
            return
        self._front("chat")
        self.query_one(Composer).focus()

    def on_chat_pane_wanted(self, message: ChatPane.Wanted) -> None:
        """Enter in the conversation."""
        message.stop()
        self.action_compose_prompt()

    def action_models(self) -> None:
        """Show the models there are."""
        from tui.screens.models import ModelsScreen

        intents, reason = self.desk.intents, self.desk.why_not("models")
        if intents is None or reason:
            self.say_not("models", reason or "still starting")
        else:
            app_of(self).push_screen(ModelsScreen(self.desk, intents.library))

    def action_card(self) -> None:
        """Show the plan card."""
        from tui.screens.plan import PlanScreen

        state = self.desk.state
        plan = state.run.plan if state.run and state.run.live else state.plan
        if plan is None:
            why = state.plan_failure or "waiting for devices to be ready"
            self.notify(f"No plan yet: {why}", severity="warning", markup=False)
        else:
            app_of(self).push_screen(PlanScreen(state, plan))

    def action_doctor(self) -> None:
        """Show what is wrong, and what to type."""
        from tui.screens.doctor import DoctorScreen

        app_of(self).push_screen(DoctorScreen(self.desk))

    def action_board(self) -> None:
        """Show the shard board."""
        from tui.screens.board import BoardScreen

        app_of(self).push_screen(BoardScreen(self.desk))

    def action_launch(self) -> None:
        """Launch the plan."""
        self.request("launch")

    def action_stop(self) -> None:
        """Stop the run."""
        self.request("stop")

    def action_cancel(self) -> None:
        """End the answer."""
        self.request("cancel")

    def action_new(self) -> None:
        """An empty conversation."""
        self.request("new")

    def action_record(self) -> None:
        """Record, or no longer."""
        self.request("record")

    def action_serve(self) -> None:
        """Serve the API, or no longer."""
        self.request("serve")

    def action_bench(self) -> None:
        """Show the suites, and what is measured."""
        from tui.screens.bench import BenchScreen

        app_of(self).push_screen(BenchScreen(self.desk))

    def request(self, action: str) -> None:
        """Ask the cluster for something, or say why not."""
        intents, reason = self.desk.intents, self.desk.why_not(action)
        if intents is None or reason:
            self.say_not(action, reason or "still starting")
            return
        match action:
            case "launch" if self.desk.state.offered:
                self.ask_relaunch(intents)
            case "launch":
                intents.launch()
            case "stop":
                intents.stop()
            case "cancel":
                intents.cancel()
            case "record":
                intents.record()
            case "serve":
                intents.serve()
            case _:
                intents.conversations.new()
        self.call_later(self.paint)

    def on_cluster_pane_chosen(self, message: ClusterPane.Chosen) -> None:
        """Enter on a device or peer."""
        from tui.screens.device import DeviceScreen

        message.stop()
        state, intents = self.desk.state, self.desk.intents
        if message.key in state.devices and (intents is None or message.key not in state.questions):
            app_of(self).push_screen(DeviceScreen(self.desk, message.key))
        elif intents is None:
            self.say_not("add", self.desk.why_not("add") or "still starting")
        elif message.key in state.questions:
            self.ask_of(message.key)
        elif message.key in state.peers:
            self.ask_how(intents, message.key)
        elif message.key in state.requests:
            self.notify("A request: d ends it, K and J move it in the queue", markup=False)

    def on_cluster_pane_moved(self, message: ClusterPane.Moved) -> None:
        """A request of the queue is to be answered sooner or later."""
        message.stop()
        request = self.desk.state.requests.get(message.request)
        if request is None or self.desk.intents is None:
            self.say_not("move a request", self.desk.why_not("queue") or "it is done")
        elif request.status != "waiting":
            self.say_not("move a request", "it is being answered already")
        else:
            self.desk.intents.reorder(message.request, message.step)
            self.call_later(self.paint)

    def on_plots_pane_zoomed(self, message: PlotsPane.Zoomed) -> None:
        """One chart on the whole screen."""
        from tui.screens.plot import PlotScreen

        message.stop()
        app_of(self).push_screen(PlotScreen(self.desk, message.chart, message.window))

    def on_cluster_pane_ended(self, message: ClusterPane.Ended) -> None:
        """A request of the queue is to end."""
        message.stop()
        if self.desk.intents is not None:
            self.desk.intents.withdraw(message.request)
        else:
            self.say_not("end a request", self.desk.why_not("queue") or "still starting")

    def on_descendant_focus(self) -> None:
        """A pane reached by mouse is the front one too."""
        focused = self.focused
        pane = next((a for a in focused.ancestors_with_self if a.id in PANES), None) if focused else None
        if pane is not None and pane.id != self.query_one(TopBar).front:
            self._front(cast(str, pane.id))

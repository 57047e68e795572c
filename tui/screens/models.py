"""The models on this computer: what they are, where they fit, and on which devices they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from core.intents import Models
from core.models.found import DEMO, Fit, Model
from core.text import size
from tui import keymap
from tui.desk import Desk
from tui.host import app_of
from tui.screens.entry import Entry
from tui.screens.listing import ListScreen
from tui.widgets.cells import Cell, table

HERE = "this-machine"
NONE = (
    "No model on this computer yet. Fetch one in MLX's layout, such as\n"
    "hf download mlx-community/Qwen3-4B-4bit; or press a to add a folder that holds one."
)
ROOMY = 104
"""Cells from which layers and quantisation have columns; the name comes first."""
Presence = dict[str, bool | None]


def verdict(fit: Fit | None) -> Cell:
    """Where the model fits, in a few words."""
    if fit is None:
        return ("", "")
    if fit.reason:
        return ("✖ does not fit", "$text-error")
    if HERE in fit.alone:
        return ("● fits here", "$text-success")
    if fit.alone:
        return (f"● fits on {fit.alone[0]}", "$text-success")
    return (f"◐ fits with {' + '.join(fit.together)}", "$text-warning")


def lies(presence: Presence | None) -> Cell:
    """On how many of the ready devices it lies."""
    if not presence:
        return ("", "")
    count = sum(there is True for there in presence.values())
    return (f"on {count} of {len(presence)}", "$muted" if count == len(presence) else "$text-warning")


def about(model: Model, fit: Fit | None, presence: Presence | None) -> list[tuple[str, str]]:
    """Lines about the chosen model: where it is, how it fits, and what to do about devices without it."""
    if model.path == DEMO:
        return [("Not made yet: enter makes it, from a package of 93 MB, fetched if need be.", "$muted")]
    if model.problem:
        return [(f"✖ {model.problem}", "$text-error")]
    lines = [(model.path, "$muted")]
    if (spec := model.spec) is not None:
        kind = f"{spec.family}, {spec.layers} layers, {spec.quantization or 'not quantised'}"
        lines.append((f"{kind}, context up to {spec.context}", "$muted"))
    if fit is None:
        lines.append(("Whether it fits is said once a device is ready.", "$muted"))
    elif fit.reason:
        lines.append((f"✖ {fit.reason}", "$text-error"))
    else:
        alone = f"alone on {', '.join(fit.alone)}; " if fit.alone else "on no device alone; "
        speed = f", {fit.decode_tps:.1f} tok/s predicted" if fit.decode_tps else ""
        where = " + ".join(fit.together)
        lines.append((f"At context {fit.context}: {alone}the plan is {where}{speed}", ""))
    absent = [name for name, there in (presence or {}).items() if there is False]
    unsure = [name for name, there in (presence or {}).items() if there is None]
    if absent:
        text = f"▲ not on {', '.join(absent)}: a launch first copies what their layers need"
        lines.append((text, "$text-warning"))
    if unsure:
        lines.append((f"{', '.join(unsure)} did not say whether it is there", "$text-warning"))
    if presence and not absent and not unsure:
        lines.append((f"it lies on {', '.join(sorted(presence))}", "$muted"))
    return lines


class ModelsScreen(ListScreen[None]):
    """Fits and presence follow as they are found out, away from the event loop."""

    BINDINGS: ClassVar[list[BindingType]] = list(keymap.MODELS)
    HEADING = "Models"
    KEYS = "enter plans for it   a adds a folder   / searches   esc closes"
    WAIT = "looking…"

    def __init__(self, desk: Desk, models: Models) -> None:
        super().__init__()
        self._desk = desk
        self._models = models
        self._all: list[Model] | None = None
        self._fits: dict[str, Fit | None] = {}
        self._presence: dict[str, Presence] = {}

    def details(self) -> Sequence[Widget]:
        """What is to be said of the chosen one."""
        return (Static("", id="told", markup=False),)

    def on_mount(self) -> None:
        """Look for them."""
        super().on_mount()
        self._read()

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        self._all = await self._models.all()
        chosen, picks = self._desk.state.model, self.picks
        if chosen is not None and chosen.path in {one.path for one in self._all}:
            picks.chosen = chosen.path
        self.show()
        for model in [one for one in self._all if one.spec is not None]:
            self._fits[model.path] = await self._models.fit(model)
            self._presence[model.path] = await self._models.presence(model.path)
            self.show()

    def show(self) -> None:
        """Those that are searched for."""
        if self._all is None:
            return
        named = [(one, f"{one.name} {one.path}".casefold()) for one in self._all]
        shown, picks = [one for one, text in named if all(word in text for word in self.words)], self.picks
        roomy = picks.room >= ROOMY
        cells = [cell if roomy else [*cell[:3], *cell[5:]] for cell in map(self._cells, shown)]
        rows = table(
            cells, picks.room, flex=1, right=(2, 3) if roomy else (2,), drop=(6, 4, 3) if roomy else (4,)
        )
        picks.show([(one.path or one.name, row) for one, row in zip(shown, rows, strict=True)])
        self.say_nothing("" if shown else "No model is called that; esc shows all." if self._all else NONE)
        self._about()

    def _cells(self, one: Model) -> list[Cell]:
        current = self._desk.state.model
        spec = one.spec
        cells: list[Cell] = [
            ("now" if current is not None and current.path == one.path else "", "$text-accent"),
            (one.name, "" if spec or one.path == DEMO else "$muted"),
        ]
        if spec is None:
            told = "make it" if one.path == DEMO else "not usable"
            return [*cells, ("", ""), ("", ""), ("", ""), (told, "$muted"), ("", "")]
        return [
            *cells,
            (size(spec.weights), ""),
            (f"{spec.layers} layers", "$muted"),
            (spec.quantization or "not quantised", "$muted"),
            verdict(self._fits.get(one.path)),
            lies(self._presence.get(one.path)),
        ]

    def _chosen(self) -> Model | None:
        key = self.picks.chosen
        return next((one for one in self._all or () if (one.path or one.name) == key), None)

    def _about(self) -> None:
        model = self._chosen()
        if model is None:
            told: list[tuple[str, str]] = []
        else:
            told = about(model, self._fits.get(model.path), self._presence.get(model.path))
        if live := self._live():
            told = [*told, (live, "$text-warning")]
        text = Content("\n").join(Content.styled(line, style) for line, style in told)
        self.query_one("#told", Static).update(text)

    def _live(self) -> str:
        return (
            "A run is live: x stops it, and then another model can be chosen." if self._desk.live_run else ""
        )

    def on_picklist_moved(self) -> None:
        """Another one is chosen."""
        self._about()

    def on_picklist_picked(self) -> None:
        """Plan for it."""
        model = self._chosen()
        if model is None or model.problem:
            told = model.problem if model else "nothing is chosen"
            self.notify(f"Cannot plan for it: {told}", severity="warning", markup=False)
        elif live := self._live():
            self.notify(live, severity="warning", markup=False)
        else:
            self._models.use(model.path)
            self.dismiss(None)

    @work(exclusive=True, group="add")
    async def action_add(self) -> None:
        """Look for models in a folder from now on."""
        text = "A model's folder, or one that holds several. It is remembered."
        place = await app_of(self).push_screen_wait(Entry("Add a folder", "", text, "~/models"))
        if not place:
            return
        if reason := await self._models.add(place):
            self.notify(reason, severity="warning", markup=False)
        self._read()

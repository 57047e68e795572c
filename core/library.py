"""The models on this computer: found, weighed against the devices, and chosen."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from core import events as ev
from core.bus import Bus
from core.circumstances import Circumstances, circumstances, wires
from core.config import Config
from core.files import held, write_private
from core.folders import typed
from core.intents import why_not_choose
from core.member import Member
from core.models import catalog, demo
from core.models.found import DEMO, Fit, Model
from core.models.spec import ModelError, ModelSpec, read
from core.plan import memory
from core.plan.plan import Host, PlanError, Stage, Wire
from core.text import clean_line
from core.wish import Wish


class _Memory(msgspec.Struct):
    places: list[str] = []
    last: str = ""


class Library:
    """What `core.intents.Models` asks for. Places that were added are kept where there is a data folder."""

    def __init__(self, bus: Bus, config: Config, wish: Wish, members: Mapping[str, Member]) -> None:
        self._bus = bus
        self._cache = config.cache
        self._file = config.data / "models.json" if config.data else None
        self._wish = replace(wish, split=(), on=(), everywhere=False)
        self._members = members
        self._places: list[str] = []
        self._fits: dict[str, tuple[Circumstances, Fit]] = {}
        self._errands: set[asyncio.Task[None]] = set()

    async def all(self) -> list[Model]:
        return await asyncio.to_thread(self._all)

    def _all(self) -> list[Model]:
        kept = self._recall()
        found: dict[str, Model] = {}
        for id_ in catalog.hub_ids():
            try:
                path = catalog.resolve(id_).resolve()
            except ModelError as error:
                found[id_] = Model(path="", name=id_, problem=clean_line(str(error), 500))
            else:
                found[str(path)] = self._look(path)
        for place in (*catalog.usual_places(self._cache), *map(Path, kept.places)):
            for path in catalog.below(place):
                found.setdefault(str(path.resolve()), self._look(path.resolve()))
        if not any(Path(key).name == demo.NAME for key in found):
            found[DEMO] = Model(path=DEMO, name=f"{demo.NAME} (demo)")
        order = sorted(
            found.values(), key=lambda one: (bool(one.problem), one.path != kept.last, one.name.lower())
        )
        return order

    def _look(self, path: Path) -> Model:
        """The model in a directory, or what is wrong with it."""
        try:
            spec = self._read(path)
        except ModelError as error:
            name = clean_line(path.name)
            return Model(path=str(path), name=name, problem=clean_line(str(error), 500))
        return Model(path=str(path), name=spec.name, spec=spec)

    def _read(self, path: Path) -> ModelSpec:
        """The model as it would be run. Raises ModelError."""
        return self._wish.model(read(path))

    async def fit(self, model: Model) -> Fit | None:
        spec, now, by = model.spec, circumstances(self._bus.state), wires(self._bus.state)
        if spec is None or not now.hosts:
            return None
        then, fit = self._fits.get(model.path, (None, None))
        if fit is None or then is None or not now.like(then) or (fit.reason and now.roomier(then)):
            fit = await asyncio.to_thread(_fit, spec, self._wish, now.hosts, by)
            self._fits[model.path] = now, fit
        return fit

    async def presence(self, path: str) -> dict[str, bool | None]:
        async def has(member: Member) -> bool | None:
            if member.machine is None:
                return None
            try:
                return await member.machine.has(path)
            except OSError:
                return None

        ready = [
            d.id for d in self._bus.state.devices.values() if d.status == "ready" and d.id in self._members
        ]
        answers = await asyncio.gather(*(has(self._members[name]) for name in ready))
        return dict(zip(ready, answers, strict=True))

    async def add(self, place: str) -> str:
        path = typed(place)
        if not place.strip() or not await asyncio.to_thread(os.path.isdir, path):
            return f"there is no folder {clean_line(place) or 'without a name'}"
        found = await asyncio.to_thread(catalog.below, path)
        if not found:
            return f"{clean_line(str(path))} holds no model: there is no config.json in it, nor just below"

        def more(kept: _Memory) -> _Memory:
            return replace(kept, places=list(dict.fromkeys([*kept.places, str(path.absolute())])))

        return await asyncio.to_thread(self._remember, more)

    def use(self, path: str) -> None:
        self._run(self._use(path))

    async def _use(self, path: str) -> None:
        try:
            if path == DEMO:
                made = await demo.ensure(self._cache, lambda line: self._say("info", line))
                path = str(made.resolve())
            spec = await asyncio.to_thread(self._read, Path(path))
        except ModelError as error:
            self._say("error", str(error))
            return
        if reason := why_not_choose(self._bus.state):
            self._say("warning", reason)
            return
        self._bus.publish(ev.ModelChosen(t=time.time(), spec=spec))
        if reason := await asyncio.to_thread(self._remember, lambda kept: replace(kept, last=path)):
            self._say("warning", reason)

    def _recall(self) -> _Memory:
        try:
            if self._file is not None:
                return msgspec.json.decode(self._file.read_bytes(), type=_Memory)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            pass  # nothing was remembered, or nothing that is worth a word
        return _Memory(places=list(self._places))

    def _remember(self, change: Callable[[_Memory], _Memory]) -> str:
        """Change what is kept; why that cannot be, nothing where it can."""
        reason = ""
        try:
            if self._file is not None:
                with held(self._file):
                    write_private(self._file, msgspec.json.encode(change(self._recall())))
                return ""
        except OSError as error:
            reason = f"{self._file} cannot be written: {error.strerror}"
        self._places = change(self._recall()).places
        return reason

    def _say(self, level: ev.Level, text: str) -> None:
        self._bus.publish(ev.Alert(t=time.time(), level=level, subject="model", text=clean_line(text, 500)))

    def _run(self, errand: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def close(self) -> None:
        """Leave what was begun."""
        for task in self._errands:
            task.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)


def _fit(spec: ModelSpec, wish: Wish, hosts: Sequence[Host], wires: Sequence[Wire]) -> Fit:
    context = min(wish.context, spec.context)
    whole = [(host, Stage(host.id, 0, spec.layers)) for host in hosts]
    alone = [host.id for host, stage in whole if memory.footprint(spec, stage, host, context).free >= 0]
    try:
        plan = wish.plan(spec, hosts, wires)
    except PlanError as error:
        return Fit(context=context, reason=str(error))
    return Fit(
        context=context,
        alone=tuple(alone),
        together=tuple(name for stage in plan.stages for name in stage.devices),
        decode_tps=plan.forecast.decode_tps if plan.forecast else None,
    )

"""What a person should be told when it happens, wherever on the screen they are: what, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from core.state import ClusterState, Device
from tui.widgets.devices import STATUS

MOST = 4
"""Notices at a time; the log has all."""


@dataclass(frozen=True)
class Notice:
    """A title that names who it is about, and a text that ends with the remedy."""

    title: str
    text: str
    severity: Literal["information", "warning", "error"]


def notices(before: ClusterState, after: ClusterState) -> list[Notice]:
    """What to tell of the change from one state to a later one."""
    return [*_run(before, after), *_offers(before, after), *_devices(before, after), *_alerts(before, after)][
        :MOST
    ]


def _run(before: ClusterState, after: ClusterState) -> Iterator[Notice]:
    run = after.run
    if run is None or run.stopped is None or not run.stopped.failed:
        return
    if before.run is None or before.run.id != run.id or before.run.stopped is None:
        yield Notice(
            "Run failed", f"{run.stopped.reason} · l launches again, 4 shows each rank's stderr", "error"
        )


def _offers(before: ClusterState, after: ClusterState) -> Iterator[Notice]:
    for name in after.offered:
        if name not in before.offered:
            yield Notice(name, "is back · l launches again with it, after a question", "information")


def _devices(before: ClusterState, after: ClusterState) -> Iterator[Notice]:
    for device in after.devices.values():
        old = before.devices.get(device.id)
        if old is None or old.status == device.status:
            continue
        if device.status in ("lost", "refused"):
            told = device.detail or STATUS[device.status][0]
            yield Notice(device.name, f"{told} · {_remedy(device)}", "error")


def _remedy(device: Device) -> str:
    if device.status == "refused":
        return "enter on it shows why"
    return "it is asked again by itself; is it asleep, or its cable out?"


def _alerts(before: ClusterState, after: ClusterState) -> Iterator[Notice]:
    if before.alerts is after.alerts:
        return
    since = before.alerts[-1].t if before.alerts else 0.0
    for alert in after.alerts:
        if alert.level != "info" and (alert.t > since or alert not in before.alerts):
            severity = "error" if alert.level == "error" else "warning"
            yield Notice(alert.subject, f"{alert.text} · 4 shows the log", severity)

"""The run: a row for each rank, and the proof that every layer is held once."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core import events as ev
from core.state import ClusterState, Rank, Run
from tui.widgets.cells import Cell, line, table
from tui.widgets.figures import bar, duration, gib
from tui.widgets.links import device_name
from tui.widgets.planstrip import series_style
from tui.widgets.rows import StateRows

_HEAD = ("rank", "device", "layers", "phase", "pid", "active/peak GiB", "compute/wait", "")
LAST_WORDS = 3
"""Lines of the culprit's stderr below the verdict; the log has all."""
_NONE: dict[int, ev.RankTimed] = {}
_WAITING = ("starting", "hello", "environment", "connect")


def run_rows(state: ClusterState, width: int) -> list[Content]:
    """How the run goes, its certificate, and its ranks."""
    run = state.run
    if run is None:
        todo = "l launches the plan" if state.plan else "l launches once there is a plan"
        nothing = f"  nothing has run yet — {todo}"
        return [line(("Run", "bold $text-accent"), (nothing, "$muted"), width=width)]
    rows = [line(("Run", "bold $text-accent"), ("  ", ""), *_headline(run, state.now), width=width)]
    if run.certificate:
        proof = f"every layer held once ✓ {run.certificate.held_sha256[:6]}"
        rows.append(line((proof, "$text-success"), width=width))
    reason = run.stopped.reason if run.stopped else run.blamed.text if run.blamed else ""
    if reason:
        why = Content.styled(reason, "$muted").wrap(max(1, width - 2))
        rows += [Content("  ") + row for row in why]
        for text in run.blamed.log[-LAST_WORDS:] if run.blamed else ():
            rows.append(line(("  stderr ", "$muted"), (text.replace("\t", " "), ""), width=width))
    if state.recovering and state.recovery is not None and state.recovery.text != reason:
        rows.append(line(("▲ ", "$text-warning"), (state.recovery.text, ""), width=width))
    if state.offered:
        back = " and ".join(device_name(state, name) for name in state.offered)
        back += " is" if len(state.offered) == 1 else " are"
        rows.append(
            line(
                ("● ", "$text-success"),
                (f"{back} back · l launches again, after a question", ""),
                width=width,
            )
        )
    cells: list[list[Cell]] = [[(text, "$muted") for text in _HEAD]]
    times = _last_times(state)
    cells += [_rank(state, rank, times.get(rank.rank)) for rank in run.ranks]
    return [*rows, *table(cells, width, flex=7, right=(4, 5, 6), drop=(4, 2, 6, 7))]


def phase_word(rank: Rank) -> Cell:
    """The phase of a rank with its progress, never by colour alone."""
    match rank.phase:
        case "exited":
            return ("▲ exited", "$text-error" if rank.exit and rank.exit.code != 0 else "$muted")
        case "ready":
            busy = f" {rank.beat.state}" if rank.beat and rank.beat.state != "idle" else ""
            # So many requests a step, where it is more than one.
            together = f" ×{rank.beat.rows:.1f}" if busy and rank.beat and rank.beat.rows > 1 else ""
            return (f"● ready{busy}{together}", "$text-success")
        case "copy":
            share = bar(rank.done / max(1, rank.total), 6)
            return (f"○ copy {share} {gib(rank.done)}/{gib(rank.total)} GiB", "$text-primary")
        case "load" | "warmup" if rank.total:
            return (
                f"○ {rank.phase} {bar(rank.done / rank.total, 6)} {rank.done}/{rank.total}",
                "$text-primary",
            )
        case phase:
            return (f"○ {phase}", "$text-primary" if phase in _WAITING else "")


def _headline(run: Run, now: float) -> list[Cell]:
    if run.stopped:
        failed = run.stopped.failed
        return [("✖ failed", "bold $text-error") if failed else ("■ stopped", "bold")]
    if run.ready:
        return [("● ready", "bold $text-success"), (f" in {run.ready.seconds:.1f} s", "$muted")]
    up = sum(rank.phase == "ready" for rank in run.ranks)
    told = f" {up} of {len(run.ranks)} ranks ready, {duration(max(0.0, now - run.started))}"
    return [("○ starting", "bold $text-primary"), (told, "$muted")]


def _last_times(state: ClusterState) -> dict[int, ev.RankTimed]:
    """Timings of the newest request that has any."""
    return next((r.ranks for r in reversed(list(state.requests.values())) if r.ranks), _NONE)


def _rank(state: ClusterState, rank: Rank, timed: ev.RankTimed | None) -> list[Cell]:
    beat = rank.beat
    memory = f"{gib(beat.active)}/{gib(beat.peak)}" if beat else ""
    spent = ""
    if timed and timed.compute_s + timed.wait_s > 0:
        share = timed.compute_s / (timed.compute_s + timed.wait_s)
        spent = f"{share:.0%}/{1 - share:.0%}"
    return [
        (f"{rank.rank}", f"bold {series_style(rank.stage)}"),
        (device_name(state, rank.device), "bold"),
        (_layers(rank), ""),
        phase_word(rank),
        (f"{rank.hello.pid}" if rank.hello else "", "$muted"),
        (memory, ""),
        (spent, ""),
        (_exit(rank.exit) if rank.exit else "", "$text-error"),
    ]


def _layers(rank: Rank) -> str:
    span = f"{rank.start}–{rank.end - 1}"
    return span if rank.parts == 1 else f"{span} part {rank.part + 1}/{rank.parts}"


def _exit(gone: ev.RankExited) -> str:
    if gone.reason:
        return gone.reason
    if gone.signal:
        return gone.signal
    return "connection lost" if gone.code is None else f"code {gone.code}"


class Ranks(StateRows):
    """The run's table."""

    def rows(self, state: ClusterState, width: int) -> Sequence[Content]:
        """See `run_rows`."""
        return run_rows(state, width)

"""Who is to blame when a run does not get on: facts about its ranks in, one culprit out. Pure.

Ranks wait for one another, so that all of them stand still when one does. Told apart are those that are
gone, stopped or silent, the one that computes for too long, and the link on which something was sent that
never came, from those that merely wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from core.complaints import explain
from core.events import Doing, Fault
from core.remote.machine import Exit

VICTIM = 3
"""What a rank exits with that ended only because it lost a neighbour (see core.worker)."""

TOGETHER = 0.5
"""Seconds within which ranks end of one cause: the cause itself may be heard of last."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds before somebody is to blame.

    A beat a second and `silent` after four name a frozen process within five; exo's classic setting is a
    beat of 5 and 30 until a node counts as lost.
    """

    beat: float = 1.0
    silent: float = 4.0
    """Without a word of any kind, once it has begun to beat."""
    stopped: float = 1.5
    """Stopped by a signal, which its guard sees: a debugger's look is shorter."""
    start: float = 60.0
    """Importing mlx_lm takes 1.3 s on an idle core; several ranks on a loaded laptop take many times that."""
    connect: float = 30.0
    load: float = 60.0
    load_per_gb: float = 20.0
    """A spinning or network disk reads some 50 MB/s."""
    warmup: float = 60.0
    warmup_per_gb: float = 20.0
    chunk: float = 60.0
    """One prefill step, and more for each GB of the stage: a CPU reads ten tokens a second of some models."""
    chunk_per_gb: float = 60.0
    step: float = 20.0
    """One decode step."""
    step_per_gb: float = 10.0
    transfer: float = 4.0
    """Every rank waiting: what was sent must have come by then."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one rank, times in seconds before now."""

    rank: int
    device: str
    stage: int | None = None
    """The stage that it shares with others, as one of a tensor group."""
    here: bool = False
    """Its device is this computer: no network lies between."""
    doing: Doing
    done: int = 0
    total: int = 0
    """Progress within the phase: layers, prompt tokens, tokens."""
    since: float = 0.0
    """For so long it has been in this phase of the start, without the time others kept it waiting."""
    owes: bool = True
    """It is this rank's turn; False where it waits for the console, and so for others, to go on."""
    gigabytes: float = 0.0
    """Of weights that its stage has."""
    heard: float = 0.0
    beats: bool = False
    blocked: bool = False
    """It cannot beat now, though well: MLX's ring holds the interpreter while it connects."""
    state: Literal["busy", "waiting", "idle"] = "idle"
    age: float = 0.0
    """For so long it has been in this state."""
    stopped: float | None = None
    exit: Exit | None = None
    gone: float = 0.0
    error: str = ""
    """What it said of its end."""
    lost: int | None = None
    """The neighbour it says it lost."""
    refused: bool = False
    """It said that it cannot do its part, however often it is asked."""
    reason: str = ""
    """Why the connection to its device ended."""
    log: tuple[str, ...] = ()
    """The last lines of its stderr."""

    @property
    def name(self) -> str:
        """As people read it."""
        return f"rank {self.rank} on {self.device}"

    @property
    def where(self) -> str:
        """What it was doing, and how far it was."""
        if self.doing in ("load", "warmup") and self.total:
            return f"in {self.doing}, {self.done} of {self.total}"
        if self.doing == "prefill" and self.total:
            return f"in prefill, {self.done} of {self.total} tokens"
        if self.doing == "decode":
            return f"in decode, after {self.done} tokens"
        return "when idle" if self.doing == "idle" else f"in {self.doing}"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The culprit, in a line and in parts."""

    fault: Fault
    rank: int
    device: str
    doing: Doing
    text: str
    link: tuple[str, str] | None = None
    """From device to device, where the cable between them or its other end is suspected."""
    log: tuple[str, ...] = ()


def verdict(ranks: Sequence[Facts], limits: Limits) -> Verdict | None:
    """Who is to blame; None while the run gets on, or as long as it is too early to tell."""
    if any(one.exit is not None for one in ranks):
        return _ended(ranks, limits)
    for one in ranks:
        if one.stopped is not None and one.stopped > limits.stopped:
            return _say("stopped", one, f"was stopped (SIGSTOP) {one.where}{_waiting(one, ranks)}")
    silent = [one for one in ranks if one.beats and not one.blocked and one.heard > limits.silent]
    if silent:
        if deaf := _deaf(ranks, limits):
            return deaf
        one = max(silent, key=lambda each: each.heard)
        return _say(
            "silent", one, f"has been silent for {one.heard:.0f} s, {one.where}{_waiting(one, ranks)}"
        )
    return _late(ranks, limits) or _stuck(ranks, limits)


def _ended(ranks: Sequence[Facts], limits: Limits) -> Verdict | None:
    gone = [one for one in ranks if one.exit is not None]
    lost = [one for one in gone if one.exit == Exit(None, None)]
    own = [one for one in gone if one not in lost and one.lost is None and not _victim(one)]
    if own:
        # Killed before failed, and the first to go before those it took along.
        one = min(own, key=lambda each: (not each.exit or not each.exit.signal, not each.error, -each.gone))
        return _died(one)
    if lost:
        one = max(lost, key=lambda each: each.gone)
        if deaf := _deaf(ranks, limits, _why(one)):
            return deaf
        return _say("lost", one, f"was {one.where} when the connection to {one.device} was lost{_why(one)}")
    if max(one.gone for one in gone) < TOGETHER:
        return None  # only victims so far: the cause is on its way
    one = max(gone, key=lambda each: each.gone)
    other = next((each for each in ranks if each.rank == one.lost), None)
    if other is None or other.exit is not None:
        return _died(one)
    link = (one.device, other.device)
    text = (
        f"lost {other.name} {one.where}, which is alive: the link {link[0]} to {link[1]} broke; {one.error}"
    )
    return _say("link", one, text, link)


def _deaf(ranks: Sequence[Facts], limits: Limits, why: str = "") -> Verdict | None:
    """Devices that fall silent together do not all fail: it is this computer that hears nobody."""
    apart = {one.device for one in ranks if one.heard > 2 * limits.beat and not one.here}
    apart |= {one.device for one in ranks if one.exit == Exit(None, None)}
    if len(apart) < 2 or not all(one.here or one.device in apart for one in ranks):
        return None
    names = " and ".join(sorted(apart))
    text = f"{names} were lost at the same time, so it is this computer's network{why}"
    return Verdict(fault="console", rank=-1, device="", doing=ranks[0].doing, text=text)


def _victim(one: Facts) -> bool:
    return one.exit is not None and one.exit.code == VICTIM


def _died(one: Facts) -> Verdict:
    assert one.exit is not None
    said = f": {one.error}" if one.error else ""
    if one.error == "lease":
        return _say(
            "console", one, f"was ended {one.where}, as this console had not been heard there for long"
        )
    if one.exit.signal:
        hint = "" if one.exit.signal != "SIGKILL" or one.error else "; out of memory, or by hand"
        return _say("killed", one, f"was killed ({one.exit.signal}) {one.where}{said}{hint}{_meaning(one)}")
    fault: Fault = "refused" if one.refused else "failed"
    return _say(fault, one, f"ended (code {one.exit.code}) {one.where}{said}{_meaning(one)}")


def _meaning(one: Facts) -> str:
    """What the last of its words that is known means, and what to do about it."""
    known = next(filter(None, map(explain, (one.error, *reversed(one.log)))), None)
    return f" — {known.cause}; {known.remedy}" if known is not None else ""


def _late(ranks: Sequence[Facts], limits: Limits) -> Verdict | None:
    """Who takes too long to come up."""
    late = [one for one in ranks if one.owes and 0 < _limit(one, limits) < one.since]
    if not late:
        return None
    # Ranks connect to each other: who has not even begun keeps the others.
    one = max(late, key=lambda each: (each.heard, -each.done, each.since))
    others = ", ".join(each.name for each in late if each is not one)
    also = f"; {others} too" if others else ""
    return _say("slow", one, f"is still {one.where} after {one.since:.0f} s{also}")


def _limit(one: Facts, limits: Limits) -> float:
    match one.doing:
        case "starting" | "hello" | "environment":
            return limits.start
        case "connect":
            return limits.connect
        case "load":
            return limits.load + limits.load_per_gb * one.gigabytes
        case "warmup":
            return limits.warmup + limits.warmup_per_gb * one.gigabytes
        case _:
            return 0.0


def _stuck(ranks: Sequence[Facts], limits: Limits) -> Verdict | None:
    """Who computes for too long while an answer is made, or which link has swallowed something."""
    if not any(one.doing in ("prefill", "decode") for one in ranks):
        return None
    if left_out := _left_out(ranks, limits):
        return left_out
    for one in ranks:
        decoding = one.doing == "decode"
        limit = limits.step if decoding else limits.chunk
        limit += one.gigabytes * (limits.step_per_gb if decoding else limits.chunk_per_gb)
        if one.state == "busy" and one.age > limit:
            group = _group(one, ranks)
            if len(group) > 1 and all(each.state == "busy" for each in group):
                return _entangled(one, group)
            return _say("slow", one, f"has computed for {one.age:.0f} s {one.where}{_waiting(one, ranks)}")
    at_work = [one for one in ranks if one.state != "idle"]
    if len(ranks) < 2 or any(one.state == "busy" for one in ranks):
        return None
    if ranks[0].state == "idle":  # it reads a prompt: nothing was sent that could have been swallowed
        return None
    # The last to begin waiting has sent what did not come.
    one = min(at_work, key=lambda each: each.age)
    if one.age <= limits.transfer:
        return None
    last = _group(one, ranks)[-1]  # of a group it passes on what the first one of it has sent
    after = ranks[(last.rank + 1) % len(ranks)]
    text = (
        f"has waited for {one.age:.0f} s {one.where}, as do the others: "
        f"nothing comes through from {last.device} to {after.device}"
    )
    return _say("link", one, text, (last.device, after.device))


def _group(one: Facts, ranks: Sequence[Facts]) -> list[Facts]:
    """The ranks of its tensor group in order, itself among them; itself alone without one."""
    return [each for each in ranks if each is one or (one.stage is not None and each.stage == one.stage)]


def _left_out(ranks: Sequence[Facts], limits: Limits) -> Verdict | None:
    """The rank of a tensor group that has not been told of a step in which the others, computing as far as
    they know, wait for it: the one before it in the group tells it."""
    for one in ranks:
        busy = [each.age for each in _group(one, ranks) if each.state == "busy"]
        if one.state == "waiting" and busy and min(busy) > limits.transfer and one.age > max(busy):
            before = ranks[one.rank - 1]
            text = (
                f"has waited for {one.age:.0f} s {one.where}, while the others of its group are in a step: "
                f"nothing comes through from {before.device} to {one.device}"
            )
            return _say("link", one, text, (before.device, one.device))
    return None


def _entangled(one: Facts, group: Sequence[Facts]) -> Verdict:
    """All of a group are in one step, in which they meet at every layer: who of them waits nobody sees."""
    others = [each for each in group if each is not one]
    text = (
        f"has been in one step for {one.age:.0f} s {one.where}, together with "
        f"{', '.join(each.name for each in others)}: nothing comes through between them, or one of them "
        "computes for too long"
    )
    return _say("link", one, text, (one.device, others[0].device) if len(others) == 1 else None)


def _waiting(culprit: Facts, ranks: Sequence[Facts]) -> str:
    waiting = [str(one.rank) for one in ranks if one is not culprit and one.state == "waiting"]
    if not waiting:
        return ""
    return f"; {'rank' if len(waiting) == 1 else 'ranks'} {', '.join(waiting)} wait for it"


def _why(one: Facts) -> str:
    return f" ({one.reason})" if one.reason else ""


def _say(fault: Fault, one: Facts, text: str, link: tuple[str, str] | None = None) -> Verdict:
    return Verdict(
        fault=fault, rank=one.rank, device=one.device, doing=one.doing, link=link, log=one.log,
        text=f"{one.name} {text}",
    )  # fmt: skip

"""What a worker says on its control channel: one JSON object a line, checked before it is believed."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from core.events import DoneReason, Likely, Phase, ToolCall
from core.remote.machine import LONGEST_LINE
from core.text import MALFORMED, clean_line, scrub


class Said(msgspec.Struct, frozen=True, tag_field="ev", tag=str.lower):
    """A line from a worker."""


class Hello(Said, frozen=True):
    """The worker is alive. `memory_limit` in bytes, where Metal tells it."""

    pid: int
    python: str
    mlx: str
    mlx_lm: str
    compute: Literal["cpu", "gpu"]
    memory_limit: int | None = None
    fast_synch: bool | None = None


class Listening(Said, frozen=True):
    """Where the worker waits for the rank before it."""

    address: str
    port: int


class PhaseSaid(Said, frozen=True, tag="phase"):
    phase: Phase
    done: int = 0
    total: int = 0


class Loaded(Said, frozen=True):
    """`weights` in bytes, `digest` over the tensors held. The rest: see events.RankLoaded."""

    start: int
    end: int
    weights: int
    digest: str
    seconds: float
    part: int = 0
    parts: int = 1
    peak: int = 0
    blas: str = ""
    dequantised: bool = False
    packed_s: float | None = None
    float_s: float | None = None


class Beat(Said, frozen=True):
    state: Literal["busy", "waiting", "idle"]
    age: float
    step: int
    active: int
    peak: int
    cache: int
    steps: int = 0
    rows: float = 0.0
    compute_s: float = 0.0
    wait_s: float = 0.0
    send_s: float = 0.0


class Prefill(Said, frozen=True):
    request: str = msgspec.field(name="id")
    done: int
    total: int


class Tokens(Said, frozen=True):
    request: str = msgspec.field(name="id")
    ids: tuple[int, ...]
    text: str = ""
    raw: str = ""
    thought: str = ""
    calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Likely, ...] | None = None


class Timed(Said, frozen=True):
    request: str = msgspec.field(name="id")
    compute_s: float
    wait_s: float
    steps: int
    peak: int
    merged: int = 0
    send_s: float = 0.0
    decode_s: float | None = None
    decode_steps: int = 0


class Done(Said, frozen=True):
    request: str = msgspec.field(name="id")
    why: DoneReason
    detail: str = ""
    prompt_tokens: int = 0
    reused_tokens: int = 0
    tokens: int = 0
    ttft_s: float | None = None
    prefill_tps: float | None = None
    decode_tps: float | None = None


class Lapped(Said, frozen=True):
    """What handing over took, without the first ones: around all ranks, or summed over all of them."""

    kind: Literal["lap", "sum"]
    bytes: int
    trips_us: Annotated[
        list[Annotated[float, msgspec.Meta(ge=0)]], msgspec.Meta(min_length=1, max_length=1000)
    ]


class Error(Said, frozen=True):
    """`rank`: the neighbour that was lost, if that is the error. `refused`: another try would end alike."""

    phase: str
    text: str
    rank: int | None = None
    kind: Literal["failed", "refused"] = "failed"


class Halted(Said, frozen=True):
    """The guard has seen the worker stopped by a signal, or continued."""

    on: bool


class Exited(Said, frozen=True, tag="exit"):
    """Last words of the guard. `why` is `lease` or `eof` when it ended the worker itself, `stuck` when it
    could not."""

    code: int | None = None
    signal: str | None = None
    why: str = ""


Line = (
    Hello
    | Listening
    | PhaseSaid
    | Loaded
    | Beat
    | Prefill
    | Tokens
    | Timed
    | Done
    | Lapped
    | Error
    | Halted
    | Exited
)

_decoder = msgspec.json.Decoder(Line)


def decode(line: bytes) -> Line:
    """A worker's line, its strings sanitised. Raises ValueError, in a line for a person, when it is none."""
    try:
        said = _decoder.decode(line)
    except MALFORMED as error:
        raise ValueError(f"not a worker's line ({clean_line(str(error))})") from None
    cleaned = scrub(said, LONGEST_LINE)
    if isinstance(said, Tokens):
        return replace(cleaned, raw=said.text if cleaned.text != said.text else "")
    return cleaned

"""How the ranks of a run are run: what speeds one Mac up hangs another, so it is asked for."""

from __future__ import annotations

from typing import Annotated

import msgspec

SHARE = 0.5


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[run]`: what a run is launched with, and recorded with. Linux takes no notice of the first
    three."""

    fast_synch: bool | None = None
    """MLX_METAL_FAST_SYNCH. Reported as five times faster over RDMA and also as what hangs GPUs (mlx issues
    3142 and 3830); left out, as the device has it."""
    awake: bool = False
    """`caffeinate -is`: the Mac does not sleep while its rank lives. Its display may: kept on, it makes
    Metal's watchdog end long commands (mlx issue 3267)."""
    wired: bool = True
    """MLX is told to keep as much in memory as Metal recommends, so that weights are not paged out."""

    dequantise: bool = True
    """Ranks on a CPU with OpenBLAS hold quantised weights as float32 where these fit and prove faster at
    loading. Sums are then made in another order: a near tie between two tokens may fall the other way."""

    prefill_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = SHARE
    """Of a rank's time, what prompts may take at most while other requests are being answered."""

    tunnel: bool = False
    """Ranks reach each other through the console's SSH connections: for networks that are not trusted."""

    @property
    def guard(self) -> list[str]:
        """What the guard of a rank is started with."""
        fast = [] if self.fast_synch is None else ["--fast-synch", str(int(self.fast_synch))]
        return [*fast, *["--awake"] * self.awake]

    @property
    def told(self) -> str:
        """What was asked for beside the defaults; nothing where nothing was."""
        words = {None: "", True: "fast synch", False: "no fast synch"}
        asked = (
            words[self.fast_synch],
            "kept awake" * self.awake,
            "no wired limit" * (not self.wired),
            "packed weights kept" * (not self.dequantise),
            f"{self.prefill_share:.0%} for prompts" * (self.prefill_share != SHARE),
            "through SSH" * self.tunnel,
        )
        return ", ".join(filter(None, asked))

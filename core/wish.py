"""What is asked of the plan, and the plan that comes of it for the devices at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from core.models.spec import ModelSpec
from core.plan.backend import Asked, within
from core.plan.plan import Host, Plan, PlanError, Wire
from core.plan.propose import Mode, propose, seats, split

REHEARSED = (
    "spread over the devices by their memory as a rehearsal does, to show a cluster; they share this "
    "machine's cores"
)


KvBits = Literal[0, 2, 3, 4, 5, 6, 8]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the plan. Without a `split` the planner decides."""

    context: Annotated[int, Meta(ge=1, le=10**7)] = 4096
    kv_bits: KvBits = 0
    """Bits of a cached number; 0: as the model computes."""
    backend: Asked = "auto"
    mode: Mode = "auto"
    split: tuple[int, ...] = ()
    on: tuple[str, ...] = ()
    """Devices of the split, in order, `a+b` for two that share their layers; by name when left out."""
    everywhere: bool = False
    """Use every device that leaves most of the speed, as a rehearsal does."""
    tunnel: bool = False
    """What ranks send each other goes through SSH, which RDMA does not."""

    def model(self, spec: ModelSpec) -> ModelSpec:
        """The model as it is to be run. Raises ModelError where its cache cannot have so few bits."""
        return spec.packed(self.kv_bits) if self.kv_bits not in (0, spec.kv_bits) else spec

    def plan(self, spec: ModelSpec, hosts: Sequence[Host], wires: Sequence[Wire] = ()) -> Plan:
        """The plan for `hosts`. Raises PlanError."""
        if not hosts:
            raise PlanError("no device is ready")
        context = min(self.context, spec.context)
        if self.tunnel and self.backend == "auto":
            wires = within(wires, "sockets")
        if self.split:
            by_name = {host.id: host for host in hosts}
            chosen = self.on or sorted(by_name)[: len(self.split)]
            groups = seats(chosen, by_name)
            return split(
                spec,
                [by_name[name] for group in groups for name in group],
                self.split,
                context,
                groups=[len(group) for group in groups],
                wires=wires,
                asked=self.backend,
            )
        spread = self.everywhere and len(hosts) > 1 and self.mode != "tensor"
        return propose(
            spec,
            hosts,
            wires,
            context,
            asked=self.backend,
            mode=self.mode,
            everywhere=self.everywhere,
            notes=[REHEARSED] if spread else [],
        )

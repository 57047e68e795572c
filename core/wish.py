"""What is asked of the plan, and the plan that comes of it for the devices at hand."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.models.spec import ModelSpec
from core.plan.plan import Backend, Host, Plan, PlanError, Wire
from core.plan.propose import Mode, propose, split

BACKEND_REASON: dict[Backend, str] = {
    "sockets": "sockets between stages: a waiting rank sleeps, where MLX's ring spins a core",
    "ring": "MLX's ring, as asked",
}
REHEARSED = (
    "spread over the devices by their memory as a rehearsal does, to show a cluster; they share this "
    "machine's cores"
)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the plan. Without a `split` the planner decides."""

    context: int = 4096
    backend: Backend = "sockets"
    mode: Mode = "auto"
    split: tuple[int, ...] = ()
    on: tuple[str, ...] = ()
    """Devices of the split, in order; by name when left out."""
    everywhere: bool = False
    """Use every device that leaves most of the speed, as a rehearsal does."""

    def plan(self, spec: ModelSpec, hosts: Sequence[Host], wires: Sequence[Wire] = ()) -> Plan:
        """The plan for `hosts`. Raises PlanError."""
        if not hosts:
            raise PlanError("no device is ready")
        context = min(self.context, spec.context)
        notes = [BACKEND_REASON[self.backend]]
        if self.split:
            by_name = {host.id: host for host in hosts}
            names = self.on or tuple(sorted(by_name))[: len(self.split)]
            if missing := [name for name in names if name not in by_name]:
                raise PlanError(f"{', '.join(missing)} is not ready")
            chosen = [by_name[name] for name in names]
            return split(spec, chosen, self.split, context, wires=wires, backend=self.backend, notes=notes)
        if self.everywhere and len(hosts) > 1:
            notes.insert(0, REHEARSED)
        return propose(
            spec,
            hosts,
            wires,
            context,
            backend=self.backend,
            mode=self.mode,
            everywhere=self.everywhere,
            notes=notes,
        )

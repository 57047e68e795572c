"""From what is known of a model and a cluster to a planning problem, with measurements in place of priors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from itertools import combinations, groupby

from msgspec.structs import replace

from core.models.spec import SHARERS, ModelSpec
from core.plan import chips, memory
from core.plan.backend import choose, within
from core.plan.chips import MEDIA, Medium, chip
from core.plan.plan import Backend, Confidence, Host, PlanError, Stage, Wire
from core.plan.problem import Caps, Device, LayerRun, Link, Model, Objective, Problem, Request


class Setting:
    """A model on a cluster at a context. Hosts without usable memory are left out, and named in `crowded`."""

    def __init__(
        self, spec: ModelSpec, hosts: Sequence[Host], wires: Sequence[Wire], context: int, prompt: int = 512
    ) -> None:
        self.spec = spec
        self.hosts = {host.id: host for host in hosts if memory.usable(host) > 0}
        self.crowded = tuple(host.id for host in hosts if host.id not in self.hosts)
        self.wires = [wire for wire in wires if wire.a in self.hosts and wire.b in self.hosts]
        self.context = context
        self.prompt = min(prompt, context)
        if not self.hosts:
            raise PlanError("no device has memory free" if hosts else "there is no device to plan for")

    def problem(self, objective: Objective = "decode", *, caps: Caps = Caps()) -> Problem:  # noqa: B008
        """The problem as it stands. Raises PlanError for more than 62 devices."""
        if len(self.hosts) > 62:
            raise PlanError(f"{len(self.hosts)} devices are more than the 62 a plan can consider")
        return Problem(
            id=self.spec.name,
            model=model(self.spec),
            devices=tuple(self._device(host) for host in self.hosts.values()),
            links=tuple(self._links()),
            request=Request(
                objective=objective, context=self.context, prompt=self.prompt, chunk=memory.CHUNK
            ),
            constants=chips.CONSTANTS,
            caps=replace(caps, tp_sizes=self.sharers),
        )

    @property
    def sharers(self) -> tuple[int, ...]:
        """Sizes of tensor groups that the model can be shared by."""
        return tuple(size for size in SHARERS if size not in self.spec.unshared)

    def among(self, names: Sequence[str]) -> Setting:
        """The same with only these hosts."""
        hosts = [self.hosts[name] for name in names]
        return Setting(self.spec, hosts, self.wires, self.context, self.prompt)

    def over(self, backend: Backend) -> Setting:
        """The same as what is carried by a backend finds it."""
        made = copy(self)
        made.wires = within(self.wires, backend)
        return made

    def carrying(self, stages: Sequence[Stage], backend: Backend | None = None) -> Setting:
        """The same as these stages find it, over the best backend or this one: without RDMA where that does
        not carry them."""
        if len(stages) == len(stages[0].devices) == 1:
            return self
        return self.over(backend or choose(stages, self.wires).backend)

    def _device(self, host: Host) -> Device:
        known = chip(host.chip, host.cores)
        # The constants' runtime is part of every problem; what this device needs beyond or less is its own.
        own = memory.runtime(host) + memory.workspace(self.spec, self.context)
        return Device(
            id=host.id,
            mem=max(0.0, memory.usable(host) - own + chips.CONSTANTS.runtime_bytes),
            bw=known.bw,
            flops=known.flops,
            overhead_scale=host.tuning.overhead_scale if host.tuning else known.overhead_scale,
            eta_bw=host.tuning.eta_bw if host.tuning else None,
            chip=known.name,
        )

    def _links(self) -> list[Link]:
        """Every wire, and a prior for each pair nobody has measured."""
        joined = {frozenset((wire.a, wire.b)) for wire in self.wires}
        unmeasured = [
            Wire(a=a, b=b) for a, b in combinations(sorted(self.hosts), 2) if frozenset((a, b)) not in joined
        ]
        links: list[Link] = []
        for wire in [*self.wires, *unmeasured]:
            medium = _medium(wire)
            links.append(
                Link(a=wire.a, b=wire.b, lat=medium.lat, bw=medium.bw, rdma=medium.rdma, kind=wire.kind)
            )
        return links

    def confidence(self, devices: Sequence[str]) -> Confidence:
        """What the figures of a plan on these devices rest on."""
        hosts = [self.hosts[name] for name in devices]
        pairs = {frozenset((wire.a, wire.b)) for wire in self.wires if wire.rtt_us is not None}
        linked = all(frozenset((a.id, b.id)) in pairs for i, a in enumerate(hosts) for b in hosts[i + 1 :])
        if linked and all(host.tuning for host in hosts):
            return "measured"
        return "links measured" if linked and len(hosts) > 1 else "priors"


def _medium(wire: Wire) -> Medium:
    """The latency and rate of a wire: as measured, else the prior of its kind."""
    kind = wire.kind if wire.kind in MEDIA else "unknown"
    latency = None if wire.rtt_us is None else wire.rtt_us / 2e6
    if kind == "unknown" and latency is not None and latency > chips.SLOW:
        kind = "wifi"
    prior = MEDIA[kind]
    return Medium(
        prior.lat if latency is None else latency, prior.bw if wire.rate is None else wire.rate, prior.rdma
    )


def model(spec: ModelSpec) -> Model:
    """A model's spec in the planner's terms: time follows bytes for decoding, parameters for prefill."""
    per_byte = 8 / bits_per_weight(spec)
    layers: list[LayerRun] = []
    for i in range(spec.layers):
        experts = spec.expert_bytes[i] if spec.expert_bytes else 0
        dense = spec.layer_bytes[i] - experts
        active = dense + (experts * spec.experts_used / spec.experts if experts else 0)
        overhead = chips.OVERHEAD_DENSE
        if experts:
            overhead = chips.OVERHEAD_MOE_MLA if spec.latent else chips.OVERHEAD_MOE
        layers.append(
            LayerRun(
                count=1,
                dense_bytes=dense,
                expert_bytes=experts,
                n_experts=spec.experts if experts else 0,
                top_k=spec.experts_used if experts else 0,
                kv_bytes=spec.kv_bytes[i],
                kv_read_scale=chips.MLA_KV_READ if spec.latent else 1,
                window=spec.windows[i],
                # Two operations a parameter; attention multiplies by keys and by values.
                flops=2 * active * per_byte * (chips.MOE_FLOPS if experts else 1),
                attn_flops=4 * spec.hidden,
                overhead=overhead,
            )
        )
    return Model(
        name=spec.name,
        hidden=spec.hidden,
        n_heads=spec.heads,
        n_kv_heads=spec.kv_heads,
        kv_shardable=not spec.latent,
        embed_bytes=spec.embed_bytes,
        head_bytes=memory.head(spec),
        tied=spec.tied,
        layers=tuple(_run(list(same)) for _, same in groupby(layers)),
        uncut=tuple(layer for layer in range(1, spec.layers) if spec.uncut(layer)),
    )


def _run(same: list[LayerRun]) -> LayerRun:
    first = same[0]
    return LayerRun(**{name: getattr(first, name) for name in first.__struct_fields__} | {"count": len(same)})


def bits_per_weight(spec: ModelSpec) -> float:
    """Stored bits of one weight: `4-bit g32` keeps a 16-bit scale and bias for each 32 weights."""
    if found := re.match(r"(\d+)-bit g(\d+)( mx| nv)?", spec.quantization):
        bits, size = int(found[1]), int(found[2])
        return bits + (8 if found[3] else 32) / size
    return 16.0 if not spec.quantization else 4.5

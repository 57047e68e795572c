"""Two paths between the same two hosts: measured, the better one used, and the other one when it is gone."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec
import pytest
import pytest_asyncio
from msgspec.structs import replace

from core import bandwidth
from core.bus import Bus
from core.circumstances import wires
from core.cluster import Cluster
from core.config import Config, DeviceEntry
from core.events import Alert
from core.intents import why_not_launch
from core.models.spec import read
from core.remote.provision import here
from core.routes import rate
from core.state import ClusterState, Link
from core.wish import Wish
from tests.tiny_models import build

from .cluster import LIMIT, device, older
from .conftest import started, unless
from .host import Host
from .vlab import Lab

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITHIN = 0.1
TRIES = 3
"""Measurements of which one must be right: this machine may be busy."""
LOUD_S = 5.0
BRIDGE = {"delay_ms": 2.5, "rate_mbit": 50.0}
"""Of a host's cable to the bridge: two of them are between two hosts."""
CABLE = {"delay_ms": 3.0, "rate_mbit": 200.0}


@pytest.fixture(scope="module")
def cabled() -> Iterator[Lab]:
    """Four hosts on a bridge; h1 and h2 are joined by a cable as well."""
    missing = [program for program in ("ping", "iperf3") if shutil.which(program) is None]
    unless(f"there is no {missing[0]}" if missing else None)
    lab = started(4, [("h1", "h2")])
    try:
        for name in ("h1", "h2"):
            lab.link(name, **BRIDGE)
        lab.link("h1", "h2", **CABLE)
        with lab.enter("console"):
            yield lab
    finally:
        lab.down()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(cabled: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """The console on all of them: h3 has another mlx, h4 no Python."""
    lab, folder = cabled, tmp_path_factory.mktemp("console")
    pythons = {"h3": {"python": older(lab)}, "h4": {"python": "/nowhere/python"}}
    entries = tuple(
        msgspec.convert(device(host, **pythons.get(host.name, {})), DeviceEntry) for host in lab.machines
    )
    config = Config(folder, folder / "cache", entries, local=False)
    config.known_hosts.write_text("".join(host.known_hosts_line() for host in lab.machines))
    spec = read(build("llama", lab.dir / "model"))
    own = Cluster(Bus(), config, spec=spec, wish=Wish(split=(2, 4), on=("h1", "h2")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        try:
            await own.start()
            yield own
        finally:
            async with asyncio.timeout(LIMIT):
                await own.close()


def _pinged_us(lab: Lab, address: str) -> float:
    said = lab["h1"].run(["ping", "-c", "30", "-i", "0.01", "-q", address])
    found = re.search(r"= [\d.]+/([\d.]+)/", said)
    assert found, said
    return float(found[1]) * 1e3


def _carried(lab: Lab, address: str) -> float:
    """Bytes a second by iperf3."""
    server = lab["h2"].popen(["iperf3", "-s", "-1", "-B", address], stdout=subprocess.DEVNULL)
    command = ["iperf3", "-J", "-c", address, "-t", "1", "-O", "0.3", "--connect-timeout", "500"]
    try:
        for _ in range(TRIES * 10):  # until the server listens
            said = json.loads(lab["h1"].run(command, check=False))
            if "error" not in said:
                return said["end"]["sum_received"]["bits_per_second"] / 8
            time.sleep(0.05)
        raise AssertionError(said)
    finally:
        server.kill()


def _link(state: ClusterState) -> Link:
    return state.links.get("h1→h2", Link(source="h1", target="h2"))


def _near(value: float | None, reference: float) -> bool:
    return value is not None and abs(value / reference - 1) <= WITHIN


async def _until(cluster: Cluster, reached: Callable[[ClusterState], bool], limit: float = LIMIT) -> None:
    async with asyncio.timeout(limit):
        await cluster.bus.until(reached)


async def _met_at(cluster: Cluster, lab: Lab) -> set[str]:
    """Launch the plan; the addresses on h1 and h2 that its ranks are joined at."""
    await cluster.planned()
    cluster.launch()
    await _until(
        cluster, lambda state: state.run is not None and state.run.live and state.run.ready is not None
    )
    run = cluster.bus.state.run
    assert run is not None
    held = {f"pid={rank.hello.pid}," for rank in run.ranks if rank.hello is not None}
    established = lab["h1"].run(["ss", "-Htnp", "state", "established"])
    cluster.stop()
    await _until(cluster, lambda state: state.run is not None and not state.run.live)
    ends = [line.split()[2:4] for line in established.splitlines() if any(pid in line for pid in held)]
    return {end.rpartition(":")[0] for pair in ends for end in pair}


async def test_hosts_that_announce_themselves_are_found(cluster: Cluster, cabled: Lab) -> None:
    """Each is one peer with the device that ssh reaches there, not a second one."""
    calling = [
        host.popen(
            [sys.executable, "-m", "tui", "announce", "--name", f"desk {host.name}"],
            stderr=subprocess.DEVNULL,
        )
        for host in cabled.machines
    ]
    try:
        await _until(cluster, lambda state: all(_found(state, host) for host in cabled.machines))
        assert len(cluster.bus.state.peers) == len(cabled.machines)
    finally:
        for one in calling:
            one.kill()


async def test_each_path_is_measured_the_cable_used_and_the_other_one_once_it_is_pulled(
    cluster: Cluster, cabled: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bandwidth, "SECONDS", 0.4)
    monkeypatch.setattr(bandwidth, "SKIP_S", 0.15)
    lab, bus = cabled, cluster.bus
    near, far = lab["h1"].tb["h2"]
    bridge, cable = (lab["h1"].ip, lab["h2"].ip), (near, far)
    pings = {far: await asyncio.to_thread(_pinged_us, lab, far)}
    pings[bridge[1]] = await asyncio.to_thread(_pinged_us, lab, bridge[1])
    carried = {address: await asyncio.to_thread(_carried, lab, address) for address in pings}

    await _until(cluster, lambda state: _link(state).in_use == far)
    for address, took in pings.items():
        await _until(cluster, lambda s, a=address, p=took: _near(_link(s).lanes[a].p50.last, p))
    for _ in range(TRIES):
        since = time.time()
        cluster.measure("h1")
        await _until(cluster, lambda state, t=since: _link(state).lanes.keys() == _loaded(state, t))
        rates = {address: rate(lane) for address, lane in _link(bus.state).lanes.items()}
        if all(_near(rates[address], carried[address]) for address in carried):
            break
    else:
        raise AssertionError((rates, carried))
    [wire] = [wire for wire in wires(bus.state) if (wire.a, wire.b) == ("h1", "h2")]
    assert (wire.ends, wire.rate) == (cable, rates[far])
    assert await _met_at(cluster, lab) == set(cable)

    lab.unplug("h1", "h2")
    await _until(cluster, lambda state: any(map(_loud, state.alerts)), LOUD_S)
    [alert] = filter(_loud, bus.state.alerts)
    assert (alert.subject, alert.text) == (
        "h1 → h2",
        "goes by Ethernet (eth0) now, it went by Ethernet (tb0): tb0 has no link on h1",
    )
    [wire] = [wire for wire in wires(bus.state) if (wire.a, wire.b) == ("h1", "h2")]
    assert (wire.ends, wire.rate) == (bridge, rates[bridge[1]])
    assert await _met_at(cluster, lab) == set(bridge)


async def test_what_a_host_lacks_is_said_of_it(cluster: Cluster) -> None:
    """And what it has: it is reached both ways from the others, and sampled without Python."""
    await _until(cluster, lambda state: all(_told(state, name) for name in ("h1", "h2", "h3")))
    await _until(cluster, lambda state: "h4" in state.devices and state.devices["h4"].sample is not None)
    h1, h4 = cluster.bus.state.devices["h1"], cluster.bus.state.devices["h4"]
    assert [(check.name, check.ok) for check in h1.reached] == [("path to h2", True), ("path to h3", True)]
    assert h4.facts is not None and h4.facts.python == "" and "no /nowhere/python" in h4.detail
    assert h4.sample is not None and h4.sample.memory_used > 0

    await _until(cluster, lambda state: state.plan is not None)
    plan = cluster.bus.state.plan
    assert plan is not None
    second = replace(plan.stages[1], device="h3")
    cluster.take(replace(plan, stages=(plan.stages[0], second)))
    reason = why_not_launch(cluster.bus.state) or ""
    assert f"h1 has mlx {here()['mlx']}" in reason and "h3 has mlx 0.20.0" in reason


def _found(state: ClusterState, host: Host) -> bool:
    return any(
        peer.announced and peer.known == host.ip and peer.name == host.name and host.ip in peer.addresses
        for peer in state.peers.values()
    )


def _told(state: ClusterState, name: str) -> bool:
    device = state.devices.get(name)
    return device is not None and device.checked is not None and len(device.reached) == 2


def _loaded(state: ClusterState, since: float) -> set[str]:
    return {a for a, lane in _link(state).lanes.items() if lane.loaded and lane.loaded.t >= since}


def _loud(alert: Alert) -> bool:
    return alert.level == "error" and "goes by" in alert.text

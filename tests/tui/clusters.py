"""More clusters for the screen: troubled, large, joined, ill, being measured."""

from __future__ import annotations

from msgspec.structs import replace

from core import events as ev
from core.bench.collect import collect
from core.models.found import DEMO, Fit, Model
from core.wiring import Cable, End
from tests.tui import boards, scenes
from tests.unit.benches import Made, plan
from tests.unit.macs import Mac, cable

T = scenes.T0 + 200
ASKED = ev.TrustAsked(
    t=T,
    device="studio",
    host="studio.local",
    port=22,
    algorithm="ssh-ed25519",
    fingerprint="SHA256:abcDEF123",
)
SMALL = Model(
    path="/models/small", name="org/Small-4bit", spec=replace(scenes.SPEC, quantization="4-bit g32")
)
LARGE = Model(
    path="/models/large", name="Large", spec=replace(scenes.SPEC, layers=80, layer_bytes=(2**30,) * 80)
)
HUGE = Model(path="/models/huge", name="Huge", spec=scenes.SPEC)
BROKEN = Model(path="/models/broken", name="broken", problem="/models/broken holds no config.json")


def _peer(name: str, host: str, *ways: ev.Way, known: str = "", login: str = "", **txt: str) -> ev.PeerSeen:
    announced = {"mdns", "dns-sd"} & set(ways)
    return ev.PeerSeen(
        t=T, key=f"{host}:22", name=name, host=host, addresses=("10.0.0.66",) if announced else (), port=22,
        services=("_ssh._tcp",) if announced else (), ways=ways, known=known, login=login, txt=txt,
    )  # fmt: skip


STUDIO = _peer("studio", "studio.local", "ssh_config", known="studio", login="as me, via bastion")
IMPOSTOR = _peer("Studio", "evil.local", "mdns", chip="[bold]M9[/]", memory=str(2**37))
HEARD = ev.PeersHeard(t=T, heard={IMPOSTOR.key: T - 420})
HERE = ev.DeviceSeen(t=T, device="this-machine", name="this-machine", address="127.0.0.1", status="ready")


def peers() -> list[ev.AnyEvent]:
    """One that is known, and one that calls itself so."""
    return [HERE, STUDIO, IMPOSTOR, HEARD]


def library() -> scenes.FakeIntents:
    intents = scenes.FakeIntents()
    known = intents.library
    known.models = [SMALL, LARGE, HUGE, BROKEN, Model(path=DEMO, name="SmolLM2 (demo)")]
    known.fits = {
        SMALL.path: Fit(
            context=4096, alone=("this-machine", "demo-a"), together=("this-machine",), decode_tps=12.34
        ),
        LARGE.path: Fit(context=4096, together=("demo-a", "demo-b"), decode_tps=3.2),
        HUGE.path: Fit(context=4096, reason="Huge needs about 90.0 GiB and the 3 devices have 4.0 GiB"),
    }
    known.there = {
        SMALL.path: {"demo-a": True, "demo-b": True},
        LARGE.path: {"demo-a": True, "demo-b": False, "demo-c": None},
    }
    return intents


def cluster(count: int, t: float = T) -> list[ev.AnyEvent]:
    """So many devices, all joined: two by cable, one link slow, one dead, the last device lost."""
    names = [f"mac-{chr(97 + i)}" for i in range(count)]
    events: list[ev.AnyEvent] = [ev.Tick(t=t)]
    for i, name in enumerate(names):
        status = "lost" if i == count - 1 and count > 3 else "ready"
        events.append(ev.DeviceSeen(t=t, device=name, name=name, address=f"10.0.0.{i}", status=status))
        events.append(
            ev.DeviceSample(
                t=t, device=name, memory_total=2**36, memory_used=(i + 1) * 2**32, memory_limit=48 * 2**30
            )
        )
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            if i == j:
                continue
            if count > 3 and {i, j} == {0, count - 1}:
                events.append(ev.LinkFailed(t=t, source=a, target=b, reason="no route to host"))
                continue
            slow = count > 2 and {i, j} == {0, 2}
            events.append(
                ev.LinkMeasured(
                    t=t, source=a, target=b, kind="thunderbolt" if {i, j} == {0, 1} else "ethernet",
                    address="10.0.0.1", sent=30, received=30, min_us=40,
                    p50_us=9400 if slow else 310, p99_us=12000,
                )
            )  # fmt: skip
    if count > 1:
        ends = (End(device=names[0], port="1"), End(device=names[1], port="1"))
        events.append(ev.CablesSeen(t=t, cables=(Cable(id="x", a=ends[0], b=ends[1], mutual=True, gbps=80),)))
    return events


def two_macs() -> list[ev.AnyEvent]:
    """Two of the devices of the scene, with a cable between them and RDMA off at one end."""
    a, b = Mac("a"), Mac("b", rdma="disabled", lan="192.0.2.11")
    cable(a, 1, b, 2)
    wired = [
        ev.DeviceWired(t=1.0, device=device, wiring=mac.wiring())
        for device, mac in (("demo-a", a), ("demo-b", b))
    ]
    gone = ev.DeviceSeen(
        t=1.0, device="demo-c", name="demo-c", address="?", status="lost", detail="the cat sat on it"
    )
    kept = ev.DeviceKept(t=1.0, device="demo-b", sleeps=10)
    return [*scenes.planned(), *wired, kept, gone]


def measured(*, whole: bool = True) -> list[ev.AnyEvent]:
    events = Made(plans={"auto": (plan(), 0.1), "even": (plan((2, 2)), 0.15)}).events
    live = [event for event in events if not isinstance(event, ev.BenchDone)]
    # Live, a trial comes with its figures.
    trials = iter(collect(events).trials)
    told = [ev.TrialDone(t=e.t, trial=next(trials)) if isinstance(e, ev.TrialDone) else e for e in live]
    return [*told, events[-1]] if whole else told


def alone() -> list[ev.AnyEvent]:
    """One device, and nothing else far and wide."""
    return [
        ev.Tick(t=T),
        ev.DeviceSeen(t=T, device="this-machine", name="this-machine", address="127.0.0.1", status="ready"),
        ev.DeviceSample(
            t=T, device="this-machine", memory_total=2**34, memory_used=2**32, memory_limit=3 * 2**32
        ),
    ]


def troubled() -> list[ev.AnyEvent]:
    """No two devices in the same trouble, and no peers."""
    lacking = ev.Check("mlx", False, "is not installed", "P in the console installs mlx 0.32.4 there")
    refused = "the host key is another one than before; if you know why: ssh-keygen -R mini.local"
    return [
        *scenes.planned(),
        ev.DeviceChecked(t=T, device="demo-a", checks=(lacking,)),
        ev.DeviceSeen(
            t=T, device="mini", name="mini", address="mini.local", status="refused", detail=refused
        ),
        ev.DeviceSeen(
            t=T, device="air", name="air", address="10.0.0.9", status="lost", detail="no answer for 10 s"
        ),
        ev.DeviceSeen(t=T, device="pro", name="pro", address="10.0.0.8", status="connecting"),
        *unknown_host()[-2:],
        ev.Alert(
            t=T, level="warning", subject="discovery", text="no peers in 2 s: multicast may be blocked here"
        ),
        ev.PlanFailed(t=T, reason="no device is ready: demo-a lacks mlx"),
    ]


def unknown_host() -> list[ev.AnyEvent]:
    """A device shows a key that nobody has accepted yet."""
    return [
        *scenes.planned(),
        ev.DeviceSeen(t=T, device="studio", name="studio", address="studio.local", status="untrusted"),
        ASKED,
    ]


def many() -> list[ev.AnyEvent]:
    """Three devices of a plan and twenty more."""
    return [*scenes.planned(), *scenes.many(20)]


def joined() -> list[ev.AnyEvent]:
    """Six devices with a slow link and a dead one."""
    return cluster(6)


def macs() -> list[ev.AnyEvent]:
    """A Mac with all its gauges, a gap, and others."""
    sample = ev.DeviceSample(
        t=T, device="studio-1", memory_total=96 * 2**30, memory_used=41 * 2**30, memory_limit=72 * 2**30,
        swap_used=2**31, load=12.34, gpu=0.87, gpu_memory=38 * 2**30, temperature=71.0, power=184.0,
        traffic={"en0": (12.5e6, 3.1e6)}, pressure="warning",
    )  # fmt: skip
    gaps = {"temperature of the memory": "macmon does not tell"}
    return [*boards.eight(), sample, ev.DeviceGaps(t=T, device="studio-1", gaps=gaps), ev.Tick(t=T)]


def being_measured() -> list[ev.AnyEvent]:
    """A suite in the middle of its runs."""
    return [*scenes.planned(), *measured(whole=False)]


def long_answer() -> list[ev.AnyEvent]:
    """Large figures, in a conversation that is longer than any screen."""
    done = ev.RequestDone(
        t=T, request="q1", why="length", tokens=51200, prompt_tokens=79800, reused_tokens=79000,
        ttft_s=123.45, prefill_tps=1234.0, decode_tps=123.4,
    )  # fmt: skip
    ready = [*scenes.planned(), *scenes.run_ready(T)]
    return [*ready, *scenes.asked(T, prompt="long " * 60), *scenes.streamed(T, "word " * 200), done]

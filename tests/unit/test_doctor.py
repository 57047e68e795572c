"""What the doctor finds in a cluster, and what it says to type."""

from __future__ import annotations

import ipaddress

import pytest
from msgspec.structs import replace

from core import addresses
from core import events as ev
from core.bus import Bus
from core.cabling import Cabling
from core.doctor import Finding, examine
from core.state import ClusterState
from core.wiring import Interface, LinkKind, Wiring
from tests.tui.scenes import plan
from tests.unit.macs import Mac, Plug, cable, read


def cluster(*macs: Mac, release: str = "26.4") -> Bus:
    """Those Macs as devices, all of them ready."""
    bus = Bus()
    bus.subscribe(Cabling(bus).consider)
    for mac in macs:
        add(bus, mac.name, mac.wiring(), release)
    return bus


def add(bus: Bus, name: str, wiring: Wiring, release: str = "26.4", **facts: str) -> None:
    about = {"system": "Darwin", "machine": "arm64", "chip": "Apple M9", "python": "3.12.1", **facts}
    for event in (
        ev.DeviceSeen(t=1.0, device=name, name=name, address="192.0.2.9", status="ready"),
        ev.DeviceFacts(t=1.0, device=name, cores=8, release=release, **about),
        ev.DeviceWired(t=1.0, device=name, wiring=wiring),
    ):
        bus.publish(event)


def told(state: ClusterState) -> list[tuple[str, str, str]]:
    return [(one.level, one.where, one.what) for one in examine(state)]


def only(state: ClusterState) -> Finding:
    [one] = examine(state)
    return one


def joined(gbps: int = 80, dock: str = "", **more: object) -> tuple[Mac, Mac]:
    a, b = Mac("a", **more), Mac("b", lan="192.0.2.11", **more)  # type: ignore[arg-type]
    cable(a, 1, b, 2, gbps, dock)
    return a, b


def test_two_macs_with_rdma_ready_have_nothing_to_mend() -> None:
    assert examine(cluster(*joined()).state) == ()


def test_rdma_that_is_off_is_switched_on_in_recovery_and_said_once() -> None:
    a, b = joined()
    b.rdma = "disabled"
    one = only(cluster(a, b).state)
    assert (one.level, one.devices, one.what) == ("warning", ("b",), "RDMA is off")
    assert [command.text for command in one.commands] == ["rdma_ctl enable"]


@pytest.mark.parametrize("plugged", [False, True])
def test_a_thunderbolt_4_mac_is_never_sent_to_recovery(plugged: bool) -> None:
    a, b = Mac("a", most=40, devices=False), Mac("b", most=40, rdma="disabled", lan="192.0.2.11")
    if plugged:
        cable(a, 1, b, 1, 40)
    found = examine(cluster(a, b).state)
    assert [(one.level, one.what) for one in found] == [
        ("info", "it cannot do RDMA, though rdma_ctl says enabled"),
        ("info", "it cannot do RDMA"),
    ]
    assert not any(one.commands for one in found)


def test_an_old_macos_is_to_be_updated_and_unlike_ones_made_alike() -> None:
    bus = cluster(*joined(), release="26.1")
    assert told(bus.state)[:2] == [
        ("warning", "a", "it cannot do RDMA yet"),
        ("warning", "b", "it cannot do RDMA yet"),
    ]
    facts = bus.state.devices["b"].facts
    assert facts is not None
    bus.publish(replace(facts, release="26.5"))
    assert ("warning", "a — b", "the Macs run different versions of macOS") in told(bus.state)


def test_a_port_without_ipv4_gets_an_address_that_nobody_has_and_leaves_the_bridge() -> None:
    a, b = joined()
    a.addresses.clear()
    b.addresses.clear()
    a.bridge = ("en2",)
    found = [one for one in examine(cluster(a, b).state) if one.devices == ("a", "b")]
    first, second = found
    assert first.what.startswith("a: the port has no IPv4 address")
    commands = [(command.device, command.text) for command in first.commands]
    assert commands == [
        ("a", "sudo ifconfig bridge0 deletem en2"),
        ("a", "sudo ifconfig en2 inet 10.213.0.1 netmask 255.255.255.252"),
    ]
    assert second.commands[-1].text == "sudo ifconfig en3 inet 10.213.0.2 netmask 255.255.255.252"


def test_a_cable_without_any_address_carries_nothing() -> None:
    a, b = joined(40)
    b.addresses.clear()
    [silent] = [one for one in examine(cluster(a, b).state) if "nothing goes by" in one.what]
    assert silent.what == "no IPv4 address at b: nothing goes by this cable"
    assert [(command.device, command.text.split(" ")[4]) for command in silent.commands] == [
        ("a", "10.213.0.1"),
        ("b", "10.213.0.2"),
    ]


def test_a_plan_of_addresses_avoids_every_network_and_route_of_every_device() -> None:
    a, b = joined()
    cable(a, 3, b, 3)
    wirings = {mac.name: mac.wiring() for mac in (a, b)}
    lan = Interface(name="en9", addresses=("10.213.0.1/24",), up=True)
    wirings["c"] = Wiring(interfaces=(lan,), networks=("10.213.1.0/24", "10.213.2.0/30"))
    cables = cluster(a, b).state.cables
    given = addresses.plan(cables, wirings)
    assert given == {
        cables[0].id: ("10.213.2.5", "10.213.2.6"),
        cables[1].id: ("10.213.2.9", "10.213.2.10"),
    }
    used = addresses.in_use(wirings.values())
    assert not any(
        ipaddress.ip_address(one) in net for pair in given.values() for one in pair for net in used
    )


def test_interfaces_in_one_network_are_named() -> None:
    a, b = joined()
    a.addresses["en2"] = "192.0.2.77"
    assert ("warning", "a", "en0 and en2 are both in 192.0.2.0/24") in told(cluster(a, b).state)


def test_cabled_ports_of_one_bridge_may_storm() -> None:
    a, b = joined()
    cable(a, 2, b, 3)
    a.bridge = ("en2", "en3", "en4")
    found = [one for one in examine(cluster(a, b).state) if "bridged" in one.what]
    assert [one.what for one in found] == ["Thunderbolt 1 and Thunderbolt 2 are bridged"]
    assert [c.text for c in found[0].commands] == [
        f"sudo ifconfig bridge0 deletem {n}" for n in ("en2", "en3")
    ]


def test_each_kind_of_bad_cable_is_told_from_the_others() -> None:
    slow = told(cluster(*joined(40)).state)
    assert slow == [("warning", "a Thunderbolt 1 — b Thunderbolt 2", "the cable runs at 40 Gb/s")]
    docked = told(cluster(*joined(40, "TB3 Dock")).state)
    assert [what for _, _, what in docked] == ["the cable goes through TB3 Dock, at 40 Gb/s"]
    a, b = joined()
    b.plugs.clear()
    assert ("warning", "a Thunderbolt 1 — b Thunderbolt 2", "only a sees the cable") in told(
        cluster(a, b).state
    )
    a, b = joined(down=("en2",))
    assert told(cluster(a, b).state) == [
        ("warning", "a Thunderbolt 1 — b Thunderbolt 2", "a: the RDMA port is down")
    ]
    a, _ = joined()
    assert told(cluster(a).state) == [
        ("info", "a Thunderbolt 1 — Mac b", "the cable leads to a computer that is no device of the cluster")
    ]
    drive = Mac("a", plugs={1: Plug(None, 0, 80, "Drive")})
    assert told(cluster(drive).state) == []


def link(kind: LinkKind) -> ev.LinkMeasured:
    return ev.LinkMeasured(
        t=1.0, source="a", target="b", kind=kind, address="192.0.2.11", sent=1, received=1, min_us=1.0,
        p50_us=1.0, p99_us=1.0,
    )  # fmt: skip


def test_a_detour_is_worse_where_a_cable_is_left_aside() -> None:
    bus = cluster(*joined())
    bus.publish(link("vpn"))
    assert told(bus.state) == [
        ("error", "a → b", "they talk over a VPN, though a Thunderbolt cable joins them")
    ]
    apart = cluster(Mac("a"), Mac("b", lan="192.0.2.11"))
    apart.publish(link("wifi"))
    assert told(apart.state) == [("warning", "a → b", "they talk over Wi-Fi")]


def test_no_route_to_a_device_that_reaches_back_is_local_network_privacy() -> None:
    bus = cluster(Mac("a"), Mac("b", lan="192.0.2.11"))
    bus.publish(replace(link("ethernet"), source="b", target="a"))
    bus.publish(ev.LinkFailed(t=1.0, source="a", target="b", reason="No route to host"))
    one = only(bus.state)
    assert "the way back works" in one.todo and "Local Network privacy" in one.todo


def test_a_device_that_is_reached_where_it_cannot_listen_is_to_be_named_otherwise() -> None:
    bus = cluster(Mac("a"), Mac("b", lan="192.0.2.11"))
    bus.publish(ev.LinkFailed(t=1.0, source="a", target="b", reason="b cannot listen on fe80::1: no"))
    assert only(bus.state).todo.startswith("b has no such address itself: name it in config.toml")


def test_a_mac_that_will_not_stay_up_is_told_to() -> None:
    readings = Mac("a").readings()
    readings.take(
        read("power_settings", " sleep                1 (sleep prevented)\n autorestart          0\n"), 1.0
    )
    login = replace(read("auto_login", None), code=1, problem="does not exist")
    readings.take(login, 1.0)
    bus = cluster(Mac("a"))
    bus.publish(readings.keeping("a", 1.0))
    assert [command.text for one in examine(bus.state) for command in one.commands] == [
        "sudo pmset -a sleep 0",
        "sudo pmset -a autorestart 1",
    ]
    assert "nobody is logged in after a restart" in [what for _, _, what in told(bus.state)]


def test_what_a_failed_rank_said_becomes_cause_and_remedy() -> None:
    bus = cluster()
    bus.publish(ev.RunStarted(t=1.0, run="r", plan=plan()))
    bus.publish(ev.RankLogged(t=1.0, run="r", rank=1, line="[ring] Couldn't bind socket (error: 48)"))
    bus.publish(ev.RankLogged(t=1.0, run="r", rank=1, line="Traceback"))
    assert examine(bus.state) == ()
    bus.publish(ev.RankExited(t=1.0, run="r", rank=1, code=1))
    one = only(bus.state)
    assert (one.where, one.what) == ("rank 1 on demo-b", "an earlier rank still holds the port")


def test_devices_that_do_not_answer_say_why_and_a_new_key_how_to_compare_it() -> None:
    bus = Bus()
    seen = ev.DeviceSeen(
        t=1.0, device="x", name="x", address="x.local", status="lost", detail="it refuses SSH"
    )
    bus.publish(replace(seen, detail="x.local:22 refuses SSH connections; is Remote Login on?"))
    assert only(bus.state).commands[0].text == "sudo systemsetup -setremotelogin on"
    bus.publish(replace(seen, status="untrusted"))
    asked = ev.TrustAsked(
        t=1.0, device="x", host="x", port=22, algorithm="ssh-ed25519", fingerprint="SHA256:f"
    )
    bus.publish(asked)
    one = only(bus.state)
    assert "SHA256:f" in one.why and one.commands[0].text.startswith("ssh-keygen -lf")


def test_what_is_not_known_comes_last_with_its_reason_and_devices_can_be_picked() -> None:
    bus = cluster(Mac("a"), Mac("b", rdma="disabled", lan="192.0.2.11"))
    gaps = {"temperature and power": "there is no macmon"}
    bus.publish(ev.DeviceGaps(t=1.0, device="a", gaps=gaps))
    *_, last = examine(bus.state)
    assert (last.level, last.what, last.commands[0].text) == (
        "unknown", "not known: temperature and power", "brew install macmon",
    )  # fmt: skip
    assert {one.where for one in examine(bus.state, only=["b"])} == {"b"}


def test_a_device_without_python_is_told_how_to_get_one() -> None:
    bus = cluster()
    add(bus, "a", Wiring(), python="")
    assert only(bus.state).commands[0].text == "uv python install 3.12"

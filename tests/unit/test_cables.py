"""From what Macs print to the cables between them: a golden table, a row for each way to be cabled."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from core.probe.cables import cables, path, worse
from core.probe.readings import Readings
from core.wiring import Cable, Interface, Wiring
from tests.unit.macs import Mac, Plug, cable, mesh, read, ring

Row = tuple[str, str, str, str]


def row(one: Cable) -> Row:
    """`(a, b, link, RDMA at a/b)`: `+` marks a dock, `?` an end that does not answer."""
    a, b = one.a, one.b
    far = f"{b.device}:{b.port.removeprefix('Thunderbolt ')}:{b.interface}" if b else one.far
    speed = f"{one.thunderbolt} {one.gbps:g}" if one.gbps else one.thunderbolt
    link = speed + "".join(f" +{dock}" for dock in one.docks) + ("" if one.mutual else " ?")
    state = a.rdma if b is None or a.rdma == b.rdma else f"{a.rdma}/{b.rdma}"
    return f"{a.device}:{a.port.removeprefix('Thunderbolt ')}:{a.interface}", far, link, state


def rows(macs: Sequence[Mac], **instead: str | None) -> list[Row]:
    return [row(one) for one in cables({mac.name: mac.wiring(**instead) for mac in macs})]


def pair(**more: object) -> list[Mac]:
    macs = [Mac("a", **more), Mac("b")]  # type: ignore[arg-type]
    cable(*sum(zip(macs, (2, 1), strict=True), ()))  # type: ignore[arg-type]
    return macs


def with_(macs: list[Mac], change: Callable[[list[Mac]], object]) -> list[Mac]:
    change(macs)
    return macs


def docked() -> list[Mac]:
    """One cable straight, one through a dock: the far end does not see the dock."""
    a, b = Mac("a"), Mac("b")
    cable(a, 1, b, 1)
    cable(a, 3, b, 2, 40, "TB3 Dock")
    return [a, b]


def doubled() -> list[Mac]:
    a, b = Mac("a"), Mac("b")
    cable(a, 1, b, 2)
    cable(a, 2, b, 1)
    return [a, b]


def chained() -> list[Mac]:
    a, b, c = (Mac(name) for name in "abc")
    cable(a, 1, b, 1)
    cable(b, 2, c, 1)
    return [a, b, c]


def tb4() -> list[Mac]:
    """rdma_ctl says enabled on them too, and no port ever becomes active."""
    a, b = Mac("a", most=40, devices=False), Mac("b", most=40, devices=False)
    cable(a, 1, b, 1, 40)
    return [a, b]


GOLDEN: dict[str, tuple[list[Mac], list[Row]]] = {
    "a pair": (pair(), [("a:2:en3", "b:1:en2", "TB5 80", "ready")]),
    "interfaces without order": (
        pair(interfaces=("en1", "en6", "en2")),
        [("a:2:en6", "b:1:en2", "TB5 80", "ready")],
    ),
    "RDMA off at one end": (
        with_(pair(), lambda macs: setattr(macs[1], "rdma", "disabled")),
        [("a:2:en3", "b:1:en2", "TB5 80", "off there/off here")],
    ),
    "a port that is down": (
        pair(down=("en3",)),
        [("a:2:en3", "b:1:en2", "TB5 80", "port down/ready")],
    ),
    "no IPv4 yet": (
        with_(pair(), lambda macs: macs[0].addresses.clear()),
        [("a:2:en3", "b:1:en2", "TB5 80", "no IPv4/ready")],
    ),
    "neighbours without protocol ids": (
        with_(pair(services=False), lambda macs: setattr(macs[1], "rdma", "disabled")),
        [("a:2:en3", "b:1:en2", "TB5 80", "port down/off here")],
    ),
    "one of two cables through a dock": (
        docked(),
        [
            ("a:1:en2", "b:1:en2", "TB5 80", "ready"),
            ("a:3:en4", "b:2:en3", "TB4 40 +TB3 Dock", "slow cable"),
        ],
    ),
    "two cables": (
        doubled(),
        [("a:1:en2", "b:2:en3", "TB5 80", "ready"), ("a:2:en3", "b:1:en2", "TB5 80", "ready")],
    ),
    "Thunderbolt 4 with enabled RDMA": (tb4(), [("a:1:en2", "b:1:en2", "TB4 40", "slow cable")]),
    "a chain": (
        chained(),
        [("a:1:en2", "b:1:en2", "TB5 80", "ready"), ("b:2:en3", "c:1:en2", "TB5 80", "ready")],
    ),
    "a full mesh of four": (
        mesh("abcd"),
        [
            ("a:1:en2", "b:1:en2", "TB5 80", "ready"),
            ("a:2:en3", "c:1:en2", "TB5 80", "ready"),
            ("a:3:en4", "d:1:en2", "TB5 80", "ready"),
            ("b:2:en3", "c:2:en3", "TB5 80", "ready"),
            ("b:3:en4", "d:2:en3", "TB5 80", "ready"),
            ("c:3:en4", "d:3:en4", "TB5 80", "ready"),
        ],
    ),
    "a ring of five": (
        ring("abcde"),
        [
            ("a:1:en2", "e:2:en3", "TB5 80", "ready"),
            ("a:2:en3", "b:1:en2", "TB5 80", "ready"),
            ("b:2:en3", "c:1:en2", "TB5 80", "ready"),
            ("c:2:en3", "d:1:en2", "TB5 80", "ready"),
            ("d:2:en3", "e:1:en2", "TB5 80", "ready"),
        ],
    ),
    "a Mac that is no device": (pair()[:1], [("a:2:en3", "Mac b", "TB5 80 ?", "ready")]),
    "a far end that does not see it": (
        with_(pair(), lambda macs: macs[1].plugs.clear()),
        [("a:2:en3", "b:1:en2", "TB5 80 ?", "ready/unknown")],
    ),
    "a drive and an empty dock": (
        with_([Mac("a")], lambda macs: macs[0].plugs.update({1: Plug(None, 0, 80, "Drive")})),
        [],
    ),
    "nothing plugged in": ([Mac("a"), Mac("b")], []),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_what_the_ends_print_amounts_to(case: str) -> None:
    macs, golden = GOLDEN[case]
    assert rows(macs) == golden


def without(text: str, key: str) -> str:
    """A document of Thunderbolt ports with one key left out wherever it stands."""

    def strip(value: object) -> object:
        if isinstance(value, dict):
            return {name: strip(held) for name, held in value.items() if name != key}
        return [strip(one) for one in value] if isinstance(value, list) else value

    return json.dumps(strip(json.loads(text)))


@pytest.mark.parametrize(
    ("key", "golden"),
    [
        ("services_title", ("a:2:en3", "b:1:en2", "TB5 80", "ready")),
        ("device_name_key", ("a:2:en3", "b:1:en2", "TB5 80", "ready")),
        ("receptacle_status_key", ("a:2:en3", "b:1:en2", "TB5 80", "ready")),
        ("current_speed_key", ("a:2:en3", "b:1:en2", "TB5 80", "ready")),  # the other end tells
        ("receptacle_id_key", ("a:thunderboltusb4_bus_1:", "b:1:en2", "TB5 80", "unknown/ready")),
        ("receptacle_1_tag", ("a:thunderboltusb4_bus_1:", "b:1:en2", "TB5 80", "unknown/ready")),
        ("_items", ("b:1:en2", "a:2:en3", "TB5 80 ?", "ready/unknown")),
        ("domain_uuid_key", ("b:1:en2", "Mac a", "TB5 80 ?", "ready")),
        ("SPThunderboltDataType", ("b:1:en2", "Mac a", "TB5 80 ?", "ready")),
    ],
)
def test_a_key_that_one_end_does_not_print_costs_what_it_told_and_no_more(key: str, golden: Row) -> None:
    a, b = pair()
    text = without(a.thunderbolt(), key)
    assert [row(one) for one in cables({"a": a.wiring(thunderbolt=text), "b": b.wiring()})] == [golden]


def test_no_thunderbolt_at_all_is_no_cable_and_no_gap() -> None:
    readings = Mac("a").readings(thunderbolt='{"SPThunderboltDataType": []}')
    assert readings.wiring().ports == () and "cables" not in readings.gaps


def test_a_mac_without_names_of_ports_has_cables_at_unknown_interfaces() -> None:
    assert rows(pair(), hardware_ports=None) == [("a:2:", "b:1:", "TB5 80", "unknown")]


@pytest.mark.parametrize(
    ("instead", "state", "gap"),
    [
        ({"rdma_ctl": None}, "ready", ("RDMA setting", "there is no rdma_ctl")),
        ({"rdma_ctl": "perhaps"}, "ready", ("RDMA setting", "rdma_ctl gave an unknown answer")),
        ({"rdma_ctl": "disabled"}, "off here", None),
        ({"ibv_devinfo": None}, "unknown", ("RDMA ports", "there is no ibv_devinfo")),
        ({"ibv_devinfo": ""}, "off here", None),
        ({"ibv_devinfo": "hca_id:\trdma_en3\n\t\t\tstate:\t\t\tPORT_ACTIVE (4)\n"}, "ready", None),
    ],
)
def test_a_missing_tool_a_failure_and_an_empty_list_are_three_things(
    instead: dict[str, str | None], state: str, gap: tuple[str, str] | None
) -> None:
    a, b = pair()
    readings = a.readings(**instead)
    [one] = cables({"a": readings.wiring(), "b": b.wiring()})
    assert one.a.rdma == state
    assert readings.gaps == (dict([gap]) if gap else {})


def test_a_run_over_rdma_has_its_cables_in_use_and_a_failure_marks_the_port() -> None:
    wirings = {mac.name: mac.wiring() for mac in pair()}
    [one] = cables(wirings, used=[frozenset("ab")])
    assert one.rdma == "in use"
    [one] = cables(wirings, used=[frozenset("ab")], faults={"b": "queue pairs are left"})
    assert (one.rdma, one.b and one.b.why) == ("faulted", "queue pairs are left")


@pytest.mark.parametrize(
    ("most", "gbps", "known"), [(120, None, True), (40, None, False), (None, 80, True), (None, 40, None)]
)
def test_thunderbolt_4_is_told_from_5_by_what_ports_can_do(
    most: int | None, gbps: int | None, known: bool | None
) -> None:
    mac = Mac("a", interfaces=("en2",), most=most or 0)
    if gbps:
        mac.plugs[1] = Plug(None, 0, gbps, "Drive")
    assert mac.wiring().thunderbolt5 is known


LINUX = {
    "sysfs_net": "lo/type: 772\neth0/type: 1\neth0/device: 0000:01:00.0\neth0/driver: igc\n"
    "wlan0/type: 1\nwlan0/wireless: 1\nwg0/type: 65534\nthunderbolt0/type: 1\nthunderbolt0/device: 0-1.0\n"
    "thunderbolt0/driver: thunderbolt-net\nbr0/type: 1\nveth1/type: 1",
    "sysfs_thunderbolt": "0-0/unique_id: 000000aa-0000-4000-8000-0000000000aa\n0-0/authorized: 1\n"
    "0-1/unique_id: 00000061-0000-4000-8000-000000000002\n0-1/device_name: Mac a\n0-1/rx_speed: 20.0 Gb/s\n"
    "0-1/rx_lanes: 2\n0-1.0/key: network\n0-1.0/prtcid: 1\n"
    "0-3/unique_id: 000000dd-0000-4000-8000-0000000000dd\n0-3/authorized: 1\n0-3/device_name: Drive",
    "ip_addr": """[
      {"ifname": "lo", "flags": ["UP", "LOWER_UP"], "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}]},
      {"ifname": "eth0", "flags": ["UP"], "master": "br0"},
      {"ifname": "veth1", "flags": ["UP", "LOWER_UP"], "master": "br0"},
      {"ifname": "br0", "flags": ["LOWER_UP"], "addr_info": [{"local": "192.0.2.2", "prefixlen": 24}]},
      {"ifname": "wlan0", "flags": ["LOWER_UP"], "addr_info": [{"local": "198.51.100.2", "prefixlen": 24}]},
      {"ifname": "wg0", "flags": ["LOWER_UP"], "addr_info": [{"local": "10.8.0.2", "prefixlen": 32}]},
      {"ifname": "thunderbolt0", "flags": ["UP", "LOWER_UP"], "addr_info": [
        {"local": "169.254.1.2", "prefixlen": 16}, {"local": "fe80::5eff:fe00:53a0", "prefixlen": 64}]}]""",
}


def linux() -> Wiring:
    readings = Readings("Linux", shared=False)
    for name, text in LINUX.items():
        readings.take(read(name, text, "Linux"), 1.0)
    return readings.wiring()


def test_linux_names_the_medium_of_each_interface() -> None:
    assert {one.name: (one.kind, one.up, one.bridge) for one in linux().interfaces} == {
        "lo": ("loopback", True, ""),
        "eth0": ("ethernet", False, "br0"),
        "veth1": ("ethernet", True, "br0"),
        "br0": ("ethernet", True, ""),
        "wlan0": ("wifi", True, ""),
        "wg0": ("vpn", True, ""),
        "thunderbolt0": ("thunderbolt", True, ""),
    }


def test_a_cable_from_a_mac_to_linux_is_one_like_any_other() -> None:
    mac, box = Mac("a"), Mac("Z")
    mac.plugs[2] = Plug(box, 1, 40)
    text = mac.thunderbolt().replace(box.domain(1).lower(), "000000AA-0000-4000-8000-0000000000AA")
    [one] = cables({"a": mac.wiring(thunderbolt=text), "linux": linux()})
    assert row(one) == ("a:2:en3", "linux:0-1:thunderbolt0", "TB4 40", "slow cable")


def test_mac_interfaces_have_media_addresses_and_bridges() -> None:
    mac = Mac("a", bridge=("en3", "en4"), addresses={"en2": "169.254.9.9"})
    mac.plugs[1] = Plug(None, 0, 80, "Drive")
    wiring = mac.wiring()
    assert {one.name: (one.kind, one.up, one.addresses, one.bridge) for one in wiring.interfaces} == {
        "lo0": ("loopback", True, ("127.0.0.1/8", "fe80::1%lo0/64"), ""),
        "en0": ("ethernet", True, ("192.0.2.10/24",), ""),
        "en1": ("wifi", False, (), ""),
        "en2": ("thunderbolt", True, ("169.254.9.9/16",), ""),
        "en3": ("thunderbolt", False, (), "bridge0"),
        "en4": ("thunderbolt", False, (), "bridge0"),
        "en5": ("thunderbolt", False, (), ""),
        "bridge0": ("thunderbolt", True, (), ""),
        "utun4": ("vpn", True, ("100.64.0.9/32",), ""),
    }
    assert wiring.networks == ("192.0.2.0/24",)


def wired(**kinds: str) -> Wiring:
    """Interfaces by kind and address, `ethernet="192.0.2.1"`."""
    return Wiring(
        interfaces=tuple(
            Interface(name=f"{kind}0", kind=kind, addresses=(f"{address}/24",))  # type: ignore[arg-type]
            for kind, address in kinds.items()
        )
    )


A = wired(
    thunderbolt="169.254.1.1",
    ethernet="192.0.2.1",
    wifi="198.51.100.1",
    vpn="10.8.0.1",
    unknown="203.0.113.1",
)
B = wired(
    thunderbolt="169.254.1.2",
    ethernet="192.0.2.2",
    wifi="198.51.100.2",
    vpn="10.8.0.2",
    unknown="203.0.113.2",
)


@pytest.mark.parametrize(
    ("local", "address", "kind"),
    [
        ("169.254.1.1", "169.254.1.2", "thunderbolt"),
        ("192.0.2.1", "192.0.2.2", "ethernet"),
        ("192.0.2.1", "198.51.100.2", "wifi"),
        ("198.51.100.1", "169.254.1.2", "wifi"),
        ("203.0.113.1", "10.8.0.2", "vpn"),
        ("100.64.0.1", "100.64.0.2", "vpn"),
        ("203.0.113.1", "192.0.2.2", "unknown"),
        ("192.0.2.1", "192.0.2.77", "unknown"),
        ("", "192.0.2.2", "unknown"),
        ("127.0.0.1", "127.0.0.1", "loopback"),
        ("fe80::1%thunderbolt0", "169.254.1.2", "thunderbolt"),
        ("nonsense", "more", "unknown"),
    ],
)
def test_a_path_is_as_good_as_its_worse_end(local: str, address: str, kind: str) -> None:
    assert path(A, local, B, address).kind == kind


def test_worse_is_thunderbolt_then_ethernet_then_wifi_then_a_vpn() -> None:
    order = ("thunderbolt", "ethernet", "wifi", "vpn")
    assert all(worse(b, a) == (order.index(b) > order.index(a)) for a in order for b in order)
    assert not worse("unknown", "thunderbolt") and not worse("vpn", "unknown")

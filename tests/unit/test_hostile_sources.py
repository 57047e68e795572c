"""Every parser of what devices print, against what no honest device prints: it degrades to unknown."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import events as ev
from core.complaints import explain
from core.probe import gauges, interfaces, message, rdma, thunderbolt
from core.probe.cables import cables
from core.probe.readings import Readings
from tests.unit.macs import Mac, cable, read
from tests.unit.test_cables import LINUX

A, B = Mac("a"), Mac("b")
cable(A, 1, B, 1)
cable(A, 2, B, 2, 40, "Dock")
GOOD = {"Darwin": A.reads(), "Linux": LINUX}

COUNTERS = "Name Mtu Network Address Ipkts\nen0 1500 <Link#4> 02:00 1 0 10 2 0 20 0\n"
NET_DEV = "Inter-| Receive\n face |bytes\n  eth0: 395 13 0 0 0 0 0 0 833 8 0 0 0 0 0 0\n"
IOREG = '  "PerformanceStatistics" = {"Device Utilization %"=16,"In use system memory"=2363801600}\n'
MACMON = '{"temp":{"gpu_temp_avg":36.9},"gpu_active_ratio":0.09,"sys_power":5.8}'

PARSERS: dict[str, tuple[Callable[[str], object], str]] = {
    "thunderbolt mac": (lambda text: thunderbolt.mac(text, {}), A.thunderbolt()),
    "thunderbolt linux": (lambda text: thunderbolt.linux(text, {}), LINUX["sysfs_thunderbolt"]),
    "hardware ports": (interfaces.hardware_ports, A.hardware_ports()),
    "ifconfig": (lambda text: interfaces.mac(text, {}), A.ifconfig()),
    "ip addr": (lambda text: interfaces.linux(text, {}), LINUX["ip_addr"]),
    "sysfs": (interfaces.sysfs, LINUX["sysfs_net"]),
    "routes mac": (interfaces.mac_networks, A.reads()["routes"]),
    "routes linux": (interfaces.linux_networks, '[{"dst": "192.0.2.0/24"}]'),
    "counters mac": (interfaces.mac_counters, COUNTERS),
    "counters linux": (interfaces.linux_counters, NET_DEV),
    "rdma_ctl": (rdma.enabled, "enabled"),
    "ibv_devinfo": (rdma.ports, A.ibv_devinfo()),
    "ioreg": (gauges.ioreg, IOREG),
    "macmon": (gauges.macmon, MACMON),
    "nvidia-smi": (gauges.nvidia, "0, 20000, 7, 41, 35.42\n"),
    "stderr": (explain, "[jaccl] Couldn't connect (error: 60)"),
}

ANYTHING = st.text(max_size=400) | st.binary(max_size=400).map(lambda raw: raw.decode("utf-8", "replace"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def damaged(good: str) -> st.SearchStrategy[str]:
    """A good text, cut, with pieces of it repeated, or with something else in its middle."""
    at = st.integers(0, len(good))
    return st.builds(lambda i, j, junk: good[:i] + junk + good[j:], at, at, ANYTHING)


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_raises_nothing_but_value_errors_of_one_line(name: str) -> None:
    parse, good = PARSERS[name]
    assert parse(good)

    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(ANYTHING | damaged(good) | JSON.map(json.dumps))
    def survives(text: str) -> None:
        try:
            parse(text)
        except ValueError as error:
            assert str(error) and "\n" not in str(error) and len(str(error)) < 300

    survives()


def shaken(value: object, with_: object, path: list[int]) -> object:
    """A JSON value with what is at `path` (indices modulo length) replaced."""
    if not path or not value or not isinstance(value, dict | list):
        return with_
    at = path[0] % len(value)
    if isinstance(value, dict):
        key = list(value)[at]
        return {**value, key: shaken(value[key], with_, path[1:])}
    return [*value[:at], shaken(value[at], with_, path[1:]), *value[at + 1 :]]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["thunderbolt mac", "ip addr", "macmon"]), st.lists(st.integers(0, 99), max_size=9), JSON
)
def test_json_with_anything_in_any_place_is_read_as_far_as_it_makes_sense(
    name: str, path: list[int], junk: object
) -> None:
    parse, good = PARSERS[name]
    try:
        parse(json.dumps(shaken(json.loads(good), junk, path)))
    except ValueError as error:
        assert "\n" not in str(error)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_readings_always_amount_to_a_wiring_and_a_sample_and_name_what_they_lack(data: st.DataObject) -> None:
    system = data.draw(st.sampled_from(sorted(GOOD)))
    readings = Readings(system, shared=False)
    names = [*GOOD[system], "power_settings", "auto_login", "ioreg", "macmon", "nvidia_smi", "counters"]
    for name in names:
        good = GOOD[system].get(name, MACMON)
        text = data.draw(st.none() | st.just(good) | ANYTHING | damaged(good))
        readings.take(read(name, text, system, data.draw(st.floats(0, 2.0**53))), 1.0)
    wiring = readings.wiring()
    cables({"a": wiring, "b": B.wiring(), "c": wiring})
    readings.keeping("a", 1.0)
    sample = ev.DeviceSample(t=2.0, device="a", memory_total=2, memory_used=1, memory_limit=2)
    gauged = readings.gauged(sample)
    assert gauged.gpu is None or 0 <= gauged.gpu <= 1
    assert wiring.interfaces or "interfaces" in readings.gaps
    assert all(reason and "\x1b" not in reason for reason in readings.gaps.values())


HUGE = {
    "brackets": "[" * message.LIMIT,
    "objects": '{"_items":' * 20_000,
    "digits": "9" * message.LIMIT,
    "blanks": " " * message.LIMIT,
    "lines": "\n" * message.LIMIT,
    "quotes": '"' * message.LIMIT,
    "heads": "en0: flags=8<UP>\n" * 15_000,
    "devices": "hca_id:\tx\n" * 25_000,
    "statistics": '"PerformanceStatistics" = {' + '"a"=1,' * 40_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", HUGE)
def test_a_text_as_long_as_is_read_does_not_hold_a_parser_up(kind: str) -> None:
    """All of them need a second together; what grows with the square of the text would need minutes."""
    for parse, _ in PARSERS.values():
        with contextlib.suppress(ValueError):
            parse(HUGE[kind])


def test_docks_behind_docks_end_somewhere() -> None:
    item: dict[str, object] = {"_name": "Mac", "domain_uuid_key": "x"}
    for depth in range(50):
        item = {"_name": f"Dock {depth}", "_items": [item]}
    bus = {"domain_uuid_key": "y", "receptacle_1_tag": {"receptacle_id_key": "1"}, "_items": [item]}
    [port] = thunderbolt.mac(json.dumps({"SPThunderboltDataType": [bus]}), {})
    assert port.far == ()

"""The bundle for a bug report: nothing in it names anybody, and who is joined to whom is still there."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from core import events as ev
from core.anonymise import Anonymiser
from core.collect import bundle
from core.probe.cables import cables
from core.probe.message import Read
from core.probe.readings import Readings
from tests.unit.macs import Mac, read
from tests.unit.test_doctor import cluster, joined


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("inet 192.168.1.7 netmask 0xffffff00", "inet 198.18.1.7 netmask 0xffffff00"),
        ("ether 3c:22:fb:01:02:03", "ether 02:00:5e:00:00:01"),
        ("inet6 fe80::1c2a:3bff:fe4d:5e6f%en0 prefixlen 64", "inet6 fe80::1%en0 prefixlen 64"),
        ("inet6 2a02:8109:1::7 prefixlen 64", "inet6 2001:db8::1 prefixlen 64"),
        ("::ffff:169.254.12.34", "::ffff:169.254.0.1"),
        ("node_guid: 0a1b:2c3d:4e5f:6071", "node_guid: 0000:0000:0000:0001"),
        ('"switch_uid_key": "0x05ACDEADBEEF0012"', '"switch_uid_key": "0000000000000001"'),
        ("Serial Number (system): C02XK1ZZJGH5", "Serial Number (system): SERIAL0001"),
        ("/Users/janedoe/mlx", "/Users/name1/mlx"),
        ("jane-macbook.local wrote", "name1.local wrote"),
        (
            "lo0 127.0.0.1 255.255.255.0 Up to 120 Gb/s 26.4.1",
            "lo0 127.0.0.1 255.255.255.0 Up to 120 Gb/s 26.4.1",
        ),
        ("at 12:34:56, ::1", "at 12:34:56, ::1"),
    ],
)
def test_each_kind_of_name_is_replaced_and_nothing_else(text: str, hidden: str) -> None:
    assert Anonymiser(["jane-macbook"])(text) == hidden


def test_the_same_is_always_replaced_by_the_same_and_networks_stay_networks() -> None:
    hide = Anonymiser(["studio"])
    both = hide("Studio 10.1.2.3 10.1.2.4 10.9.9.9 studio 10.1.2.3\n10.1.2          link#4")
    assert both == "name1 198.18.1.3 198.18.1.4 198.18.2.9 name1 198.18.1.3\n198.18.1          link#4"
    many = [hide(f"02:11:22:33:{i // 256:02x}:{i % 256:02x}") for i in range(600)]
    assert len(set(many)) == 600


def test_a_bundle_names_nobody_and_its_texts_amount_to_the_same_cables() -> None:
    a, b = joined()
    a.lan, b.lan = "192.168.178.21", "192.168.178.22"
    bus = cluster(a, b)
    bus.publish(ev.Alert(t=1.0, level="info", subject="a", text="seen at 192.168.178.21"))
    reads = {mac.name: (*mac.readings().raw, read("auto_login", "janedoe\n")) for mac in (a, b)}
    text = msgspec.json.encode(bundle(bus.state, reads, ())).decode()
    for secret in ("192.168.178", a.domain(1), a.domain(1).lower(), "janedoe", "169.254.97.1"):
        assert secret not in text
    wirings = {}
    for device in json.loads(text)["devices"]:
        readings = Readings("Darwin", shared=False)
        for one in device["reads"].values():
            readings.take(msgspec.convert({**one, "ev": "read"}, Read), 1.0)
        wirings[device["name"]] = readings.wiring()
    [one] = cables(wirings)
    assert (one.mutual, one.rdma, one.a.interface, one.b and one.b.interface) == (True, "ready", "en2", "en3")


def test_a_bundle_of_what_is_hostile_is_still_a_document() -> None:
    bus = cluster(Mac("a"))
    reads = {"a": (read("ifconfig", "\ud800 1:2:3:4:5:6:7:8:9 " + "a:" * 5000 + "1." * 5000),)}
    document = bundle(bus.state, reads, ())
    assert re.search(rb"exo-tui-doctor/1", msgspec.json.encode(str(document)))

"""`exo-tui devices` sees what programs that are not ours announce, and prints nothing raw."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest

from .avahi import Avahi
from .cluster import LIMIT, Setup
from .vlab import Lab

WAIT = ["--wait", "8"]  # under load a name takes more than one question
TURNED = "Eve \u202eoiduts\u2066 \u009b2J x"
"""Marks that turn the reading direction, and a C1 control sequence."""

DRIVEN = "Mallory\x1b[31m\x07"
"""An escape sequence and a bell, which no instance name may hold: whoever uses one is no peer."""


@pytest.fixture(scope="module")
def printed(lab: Lab, avahi_peers: dict[str, Avahi]) -> dict[str, str]:
    """What the command prints, as JSON and for people."""
    avahi_peers["h1"].publish(TURNED, "_ssh._tcp", 2222, f"note=\x1b]0;owned\x07{TURNED}")
    avahi_peers["h2"].publish(DRIVEN, "_ssh._tcp", 2222)
    setup = Setup(lab, "devices", [], pinned=[])
    said: dict[str, str] = {}
    # One after the other: of two programs on port 5353 the kernel gives an answer by unicast to one.
    for name, options in {"json": ["--json"], "plain": []}.items():
        command = setup.start("devices", *WAIT, *options)
        out, _ = command.process.communicate(timeout=LIMIT)
        assert command.process.returncode == 0, command.complaints
        said[name] = out.decode()
    return said


@pytest.fixture(scope="module")
def peers(printed: dict[str, str]) -> dict[str, dict[str, Any]]:
    return {peer["name"]: peer for peer in json.loads(printed["json"])["peers"]}


@pytest.mark.parametrize(
    ("name", "host", "service"), [("Jane's Mac Studio", "h1", "_ssh._tcp"), ("mini", "h2", "_exo-tui._tcp")]
)
def test_a_peer_announced_by_avahi_is_listed(
    name: str, host: str, service: str, lab: Lab, peers: dict[str, dict[str, Any]], printed: dict[str, str]
) -> None:
    peer = peers[name]
    assert (peer["host"], peer["port"], peer["services"]) == (f"{host}.local", 22, [service])
    assert peer["addresses"][0] == lab[host].ip
    [line] = [line for line in printed["plain"].splitlines() if name in line]
    assert line.startswith("peer ") and lab[host].ip in line and service in line


def test_an_announced_peer_is_no_device(printed: dict[str, str]) -> None:
    assert [device["id"] for device in json.loads(printed["json"])["devices"]] == ["this-machine"]


def test_a_hostile_name_is_listed_clean(peers: dict[str, dict[str, Any]]) -> None:
    assert peers.keys() == {"Jane's Mac Studio", "mini", "Eve oiduts x"}
    assert peers["Eve oiduts x"]["port"] == 2222
    assert peers["Eve oiduts x"]["txt"] == {"note": "Eve oiduts x"}


def test_nothing_that_drives_a_terminal_is_printed(printed: dict[str, str]) -> None:
    printed_strings = [json.dumps(json.loads(printed["json"]), ensure_ascii=False), printed["plain"]]
    for text in printed_strings:
        assert "Eve" in text
        assert [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"] == []

from __future__ import annotations

import json

import pytest

from core.plan.clusterfile import decode
from core.plan.problem import InputError

A = {"id": "a", "memory_limit": 2**30, "chip": "Apple M4 Max", "cores": 16}
B = {"id": "b", "memory_limit": 2**30, "memory_used": 5, "unknown": ["ignored"]}


def test_devices_and_links_are_read() -> None:
    link = {"a": "a", "b": "b", "kind": "thunderbolt", "rtt_us": 700, "rate": 2e9}
    silent = {"id": "c", "memory_limit": None, "chip": None}
    hosts, wires = decode(json.dumps({"devices": [A, B, silent], "links": [link]}).encode())
    assert [(host.id, host.memory_used, host.chip) for host in hosts] == [
        ("a", 0, "Apple M4 Max"),
        ("b", 5, ""),
    ]
    assert wires[0].rtt_us == 700 and wires[0].kind == "thunderbolt"


@pytest.mark.parametrize(
    ("devices", "links", "complaint"),
    [
        ([A | {"memory_limit": -1}], [], ">= 0"),
        ([A, A], [], "the same id"),
        ([A | {"id": ""}], [], "length >= 1"),
        ([A], [{"a": "a", "b": "ghost"}], "a link names ghost"),
        ([A], [{"a": "a", "b": "a"}], "linked to itself"),
        ([A, B], [{"a": "a", "b": "b", "kind": "string and tin"}], "string and tin"),
        ([A, B], [{"a": "a", "b": "b", "rtt_us": -3}], ">= 0"),
        ([A, B], [{"a": "a", "b": "b", "rate": 0}], "> 0"),
        ([A | {"memory_limit": "much"}], [], "Expected `int"),
        ([A | {"memory_limit": float("nan")}], [], "malformed"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(devices, links, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        decode(json.dumps({"devices": devices, "links": links}).encode())
    assert "\n" not in str(caught.value)

"""Which ways there are between two devices, and which interface keeps one standing."""

from __future__ import annotations

from core.ways import Way, lost, ways
from core.wiring import Interface, Wiring
from tests.unit.macs import Mac, cable


def wired(*interfaces: tuple[str, str], down: str = "") -> Wiring:
    """By name and address, `("eth0", "192.0.2.1/24")`."""
    return Wiring(
        interfaces=tuple(
            Interface(name=name, kind="ethernet", up=name != down, addresses=(address,))
            for name, address in interfaces
        )
    )


A = wired(("eth0", "192.0.2.1/24"), ("tb0", "10.213.0.1/30"))
B = wired(("eth0", "192.0.2.2/24"), ("tb1", "10.213.0.2/30"))


def test_each_network_that_both_are_in_is_a_way_beside_the_one_that_ssh_took() -> None:
    assert ways(A, B, "192.0.2.2") == (Way("192.0.2.2"), Way("10.213.0.2", "10.213.0.1"))
    assert ways(A, B, "100.64.0.2") == (
        Way("100.64.0.2"),
        Way("192.0.2.2", "192.0.2.1"),
        Way("10.213.0.2", "10.213.0.1"),
    )
    assert ways(None, B, "192.0.2.2") == ways(A, None, "192.0.2.2") == (Way("192.0.2.2"),)


def test_a_network_that_a_device_is_in_twice_is_none() -> None:
    twice = wired(("eth0", "192.0.2.1/24"), ("en1", "192.0.2.9/24"), ("tb0", "10.213.0.1/30"))
    assert ways(twice, B, "192.0.2.2") == (Way("192.0.2.2"), Way("10.213.0.2", "10.213.0.1"))
    one, other = Mac("a"), Mac("b")
    cable(one, 1, other, 1)
    cable(one, 2, other, 2)  # self-assigned addresses on both: 169.254.0.0/16 twice
    found = ways(one.wiring(), other.wiring(), "192.0.2.10")
    assert found == (Way("192.0.2.10"),)


def test_devices_that_share_a_computer_or_a_virtual_bridge_have_no_more_ways() -> None:
    assert ways(A, A, "127.0.0.1") == (Way("127.0.0.1"),)
    docker = wired(("docker0", "172.17.0.1/16"))
    assert ways(docker, docker, "192.0.2.2") == (Way("192.0.2.2"),)


def test_a_self_assigned_address_on_one_cable_is_a_way() -> None:
    one, other = Mac("a", lan="192.0.2.11"), Mac("b")
    cable(one, 1, other, 2)
    assert ways(one.wiring(), other.wiring(), "192.0.2.10") == (
        Way("192.0.2.10"),
        Way("169.254.98.2", "169.254.97.1"),
    )


def test_a_way_falls_with_the_link_of_either_end() -> None:
    pulled = wired(("eth0", "192.0.2.1/24"), ("tb0", "10.213.0.1/30"), down="tb0")
    assert ways(pulled, B, "192.0.2.2") == ways(B, pulled, "192.0.2.2")[:1] == (Way("192.0.2.2"),)
    assert lost(pulled, "10.213.0.1", "tb0") == "tb0 has no link"
    assert lost(B, "10.213.0.9", "tb1") == "tb1 has lost its address"
    for known in (A, None, Wiring()):
        assert lost(known, "10.213.0.1", "tb0") == ""

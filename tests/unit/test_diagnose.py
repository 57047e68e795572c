"""Why nobody is seen: the question is really asked, and each answer has its cause."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from core import events as ev
from core.doctor import examine
from core.peers import diagnose
from core.peers.diagnose import Ear, causes, listen
from core.state import ClusterState, apply

LAN = Ear("en0", "192.168.1.2", echoed=True)

CASES = {
    "no network": ([], "Linux", "this computer is in no network"),
    "privacy": (
        [Ear("en0", "192.168.1.2", errno.EHOSTUNREACH)],
        "Darwin",
        "macOS keeps exo-tui from the local network (en0)",
    ),
    "no route": ([Ear("eth0", "10.0.0.2", errno.ENETUNREACH)], "Linux", "multicast cannot be sent on eth0"),
    "firewall": ([Ear("eth0", "10.0.0.2", errno.EPERM)], "", "a firewall here forbids multicast on eth0"),
    "firewall in": ([Ear("eth0", "10.0.0.2")], "Linux", "multicast is blocked on eth0"),
    "vpn": ([Ear("utun4", "100.64.0.2", echoed=True)], "Darwin", "utun4 is a VPN"),
    "alone": ([LAN], "Darwin", "nobody answers on en0"),
    "others": (
        [Ear("en0", "192.168.1.2", echoed=True, others=3)],
        "Darwin",
        "3 machines answer on en0, none of them can be logged in to",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_answer_has_its_cause(case: str) -> None:
    ears, system, what = CASES[case]
    [cause] = causes(ears, system=system)
    assert cause.what == what
    assert cause.todo


def test_a_vpn_is_told_after_what_can_be_mended() -> None:
    found = causes([Ear("tailscale0", "100.64.0.2", echoed=True), LAN], "no permission", "Linux")
    assert [cause.what.split()[0] for cause in found] == ["cannot", "nobody", "tailscale0"]


def test_the_doctor_says_it_with_the_command() -> None:
    looked = ev.DiscoveryLooked(t=1.0, causes=causes([Ear("eth0", "10.0.0.2")], system="Linux"))
    [finding] = examine(apply(ClusterState(), looked))
    assert finding.where == "discovery" and finding.commands[0].text == "sudo nft list ruleset"
    assert not examine(apply(apply(ClusterState(), looked), ev.DiscoveryLooked(t=2.0)))


async def test_a_question_is_heard_back_and_whoever_answers_is_counted() -> None:
    printer = AsyncZeroconf(["127.0.0.2"])
    info = AsyncServiceInfo(
        "_ipp._tcp.local.", "printer._ipp._tcp.local.", port=631, server="printer.local.",
        addresses=[socket.inet_aton("127.0.0.2")],
    )  # fmt: skip
    try:
        await printer.async_register_service(info, cooperating_responders=True)
        [ear] = await asyncio.to_thread(listen, [("lo", "127.0.0.1")])
    finally:
        await printer.async_close()
    assert ear.error is None and ear.echoed, ear
    assert ear.others == 1, ear


def test_an_address_that_is_not_ours_has_an_errno(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "LOOK_S", 0.0)
    [ear] = listen([("gone0", "192.0.2.77")])
    assert ear.error is not None and not ear.echoed

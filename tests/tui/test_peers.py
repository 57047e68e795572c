"""Peers in the console: how they are known, whom they are not, and how one is added."""

from __future__ import annotations

from core import events as ev
from core.joining import Wanted
from core.peers.diagnose import Ear, causes
from tests.tui.clusters import HEARD, HERE, IMPOSTOR, STUDIO, T
from tests.tui.conftest import NARROW, WIDE, Open


async def test_the_list_says_how_a_peer_is_known_when_it_was_heard_and_whom_it_is_not(console: Open) -> None:
    for size in (NARROW, WIDE):
        async with console([HERE, STUDIO, IMPOSTOR, HEARD], size) as desk:
            for text in (
                "Also here: 1 announced, 1 in your files", "mdns, 7 min ago", "+ known", "ssh_config",
                "[bold]M9[/] · 128.0 GiB", "▲ not your studio: another machine that calls itself so",
            ):  # fmt: skip
                assert text in desk.text, text


async def test_adding_shows_what_is_known_and_asks_what_ssh_is_to_be_told(console: Open) -> None:
    async with console([HERE, STUDIO, IMPOSTOR], NARROW) as desk:
        await desk.press("down", "enter")
        for text in (
            "evil.local port 22",
            "128.0 GiB (not checked)",
            "not your studio",
            "Studio at 10.0.0.66",
        ):
            assert text in desk.text, text
        await desk.press("escape", "down", "enter")
        assert "as me, via bastion" in desk.text and "not looked for yet" in desk.text
        await desk.press("tab", *"22x", "enter")
        await desk.sees("✖ a port is a number from 1 to 65535")
        await desk.press("backspace", "tab", *"~/k", "tab", *"py", "tab", *"/w", "tab", *"/m", "ctrl+s")
        wanted = Wanted(name="studio", port="22", key="~/k", python="py", work="/w", models="/m", keep=True)
        assert desk.intents.calls == [("add", STUDIO.key, wanted)]


async def test_a_node_of_exo_is_listed_and_says_that_it_cannot_be_added(console: Open) -> None:
    node = ev.PeerSeen(
        t=T, key="10.0.0.9:4001", name="exo node? 4kx6nXTN", host="h", addresses=("10.0.0.9",), port=4001,
        services=("_p2p._udp",),
    )  # fmt: skip
    async with console([HERE, node]) as desk:
        assert "· listed" in desk.text
        await desk.press("down", "enter")
        await desk.sees("is listed only")
        assert desk.intents.calls == []


async def test_an_empty_list_names_its_cause_and_the_remedy(console: Open) -> None:
    found = causes([Ear("eth0", "10.0.0.2")], system="Linux")
    async with console([HERE, ev.DiscoveryLooked(t=T, causes=found)], NARROW) as desk:
        assert "▲ multicast is blocked on eth0" in desk.text and "$ sudo nft list ruleset" in desk.text
        await desk.press("D")
        await desk.sees("discovery: multicast is blocked on eth0")
    async with console([HERE, IMPOSTOR, ev.DiscoveryLooked(t=T, causes=())], NARROW) as desk:
        assert "blocked" not in desk.text


async def test_the_checks_of_a_device_are_listed_up_to_the_one_that_failed(console: Open) -> None:
    trouble = ev.Check("login", False, "none of your keys", "ssh-copy-id studio")
    lost = ev.DeviceSeen(
        t=T,
        device="studio",
        name="studio",
        address="10.0.0.5",
        status="lost",
        trouble=trouble,
        peer=STUDIO.key,
    )
    async with console([HERE, STUDIO, lost, ev.ExoSeen(t=T, device="studio", node="b1c2")], NARROW) as desk:
        await desk.press("enter")
        for text in ("✓  reach", "✓  host key", "✖  login", "ssh-copy-id studio", "ssh_config", "node b1c2"):
            assert text in desk.text, text

"""macOS's `dns-sd`, by a stand-in that prints what its source prints. Untested on hardware."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import Alert, AnyEvent, PeerLost, PeerSeen
from core.peers.adverts import Board
from core.peers.dnssd import Change, DnsSd, comes, entries, reached

BROWSED = """\
Browsing for _ssh._tcp.local.
DATE: ---Wed 25 Nov 2026---
12:00:00.000  ...STARTING...
Timestamp     A/R    Flags  if Domain               Service Type         Instance Name
12:00:00.123  Add        3  12 local.               _ssh._tcp.           Jane's  Mac Studio
12:00:00.124  Add        2   6 local.               _ssh._tcp.           mini
"""
REACHED = r"12:00:00.345  Jane's\032Mac._ssh._tcp.local. can be reached at Janes-Mac.local.:22 (interface 12)"

STAND_IN = """#!/bin/sh
row() { echo "12:00:00.123  $1        3  $2 local.               _ssh._tcp.           ${3-Jane's Mac}"; }
gone() { while [ ! -e "$0.$1" ]; do sleep 0.05; done; }
at() { echo " 9:00:00.345  Jane's\\\\032Mac can be reached at localhost.:${2-2200} (interface $1)"; }
case "$1 $2" in
"-B _ssh._tcp")
    echo 'Browsing for _ssh._tcp.local.'
    echo '12:00:00.000  ...STARTING...'
    echo 'Timestamp     A/R    Flags  if Domain               Service Type         Instance Name'
    {browse} ;;
"-L Jane's Mac")
    echo 'Lookup'
    {resolve} ;;
"-L mini")
    at 6 2201 ;;
esac
exec sleep 60
"""
FULL = "at 12; printf ' chip=Apple\\\\ M9 flag\\n'"


def test_a_table_for_people_is_read() -> None:
    found = [change for line in BROWSED.splitlines() if (change := comes(line))]
    assert found == [(True, "12", "_ssh._tcp", "Jane's  Mac Studio"), (True, "6", "_ssh._tcp", "mini")]
    assert comes("12:00:10.000  Rmv        0   6 local.               _ssh._tcp.           mini") == (
        False, "6", "_ssh._tcp", "mini",
    )  # fmt: skip
    assert reached(REACHED) == ("Janes-Mac.local.", 22)
    assert entries(r" txtvers=1 chip=Apple\032M9\ Max empty= flag") == {
        b"txtvers": b"1", b"chip": b"Apple M9 Max", b"empty": b"", b"flag": None,
    }  # fmt: skip


@settings(max_examples=30)
@given(st.text(max_size=200))
def test_any_line_can_be_read(line: str) -> None:
    for text in (line, BROWSED.splitlines()[-1] + line, REACHED + line):
        comes(text)
        reached(text)
        entries(text)


Heard = asyncio.Queue[AnyEvent]


@asynccontextmanager
async def listening(folder: Path, browse: str, resolve: str = FULL) -> AsyncGenerator[Heard]:
    """With a tool that prints so, in the words of STAND_IN."""
    program = folder / "dns-sd"
    program.write_text(STAND_IN.replace("{browse}", browse).replace("{resolve}", resolve))
    program.chmod(0o700)
    heard: Heard = asyncio.Queue()
    tool = DnsSd(Board(heard.put_nowait, scope=None, clock=lambda: 1.0), heard.put_nowait, str(program))
    tool.start()
    try:
        async with asyncio.timeout(20):
            yield heard
    finally:
        await tool.close()


async def test_what_it_hears_comes_and_goes_on_the_board(tmp_path: Path) -> None:
    async with listening(tmp_path, "row Add 12; row Add 6; gone all; row Rmv 6; row Rmv 12") as heard:
        peer = await heard.get()
        assert isinstance(peer, PeerSeen), peer
        assert (peer.name, peer.host, peer.port) == ("Jane's Mac", "localhost", 2200)
        assert "127.0.0.1" in peer.addresses and peer.ways == ("dns-sd",)
        assert peer.txt == {"chip": "Apple M9", "flag": ""}
        (tmp_path / "dns-sd.all").touch()
        assert isinstance(await heard.get(), PeerLost)


@pytest.mark.parametrize("resolve", ["at 12", "at 12; at 6", "at 12; exit"])
async def test_an_advert_without_entries_is_heard_as_well(tmp_path: Path, resolve: str) -> None:
    """As a Mac with Remote Login on announces it; on two interfaces there is a line for each."""
    async with listening(tmp_path, "row Add 12", resolve) as heard:
        peer = await heard.get()
        assert isinstance(peer, PeerSeen), peer
        assert (peer.host, peer.port, peer.txt) == ("localhost", 2200, {})


async def test_a_peer_is_there_until_its_last_interface_goes(tmp_path: Path) -> None:
    browse = "row Add 12; row Add 6; gone one; row Rmv 12; row Add 6 mini; gone all; row Rmv 6"
    async with listening(tmp_path, browse) as heard:
        first = await heard.get()
        (tmp_path / "dns-sd.one").touch()
        assert isinstance(await heard.get(), PeerSeen), "lost with the first interface"
        (tmp_path / "dns-sd.all").touch()
        lost = await heard.get()
        assert isinstance(first, PeerSeen) and isinstance(lost, PeerLost)
        assert lost.key == first.key


async def test_the_end_of_a_lookup_leaves_a_later_one_of_the_same_name_alone(tmp_path: Path) -> None:
    program = tmp_path / "dns-sd"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    tool = DnsSd(Board(lambda _: None, scope=None, clock=lambda: 1.0), lambda _: None, str(program))
    comes = Change(True, "6", "_ssh._tcp", "mini")
    tool._take(comes)
    [first] = tool._lookups.values()
    tool._take(comes._replace(there=False))
    tool._take(comes)
    [second] = tool._lookups.values()
    try:
        await asyncio.wait_for(asyncio.gather(first, return_exceptions=True), 20)
        await asyncio.sleep(0)  # what is to be done at its end is done
        assert [*tool._lookups.values()] == [second] and not second.done()
    finally:
        await tool.close()
    assert second.done()


async def test_that_it_fails_is_said_once(tmp_path: Path) -> None:
    program = tmp_path / "dns-sd"
    program.write_text("#!/bin/sh\necho 'DNSService call failed -65563'\n")
    program.chmod(0o700)
    for name, told in (
        (str(program), "ended: DNSService call failed -65563"),
        ("no-dns-sd", "cannot be started"),
    ):
        heard: asyncio.Queue[AnyEvent] = asyncio.Queue()
        listening = DnsSd(Board(heard.put_nowait, scope=None, clock=lambda: 1.0), heard.put_nowait, name)
        listening.start()
        try:
            alert = await asyncio.wait_for(heard.get(), 20)
            await asyncio.gather(*listening._browsing)
        finally:
            await listening.close()
        assert isinstance(alert, Alert) and told in alert.text
        assert heard.empty()

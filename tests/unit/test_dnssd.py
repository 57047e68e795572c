"""macOS's `dns-sd`, by a stand-in that prints what its source prints. Untested on hardware."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import Alert, AnyEvent, PeerLost, PeerSeen
from core.peers.adverts import Board
from core.peers.dnssd import DnsSd, comes, entries, reached

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
case "$1 $2" in
"-B _ssh._tcp")
    echo 'Browsing for _ssh._tcp.local.'
    echo '12:00:00.000  ...STARTING...'
    echo 'Timestamp     A/R    Flags  if Domain               Service Type         Instance Name'
    echo "12:00:00.123  Add        3  12 local.               _ssh._tcp.           Jane's Mac"
    echo "12:00:00.123  Add        2   6 local.               _ssh._tcp.           Jane's Mac"
    while [ ! -e "$0.gone" ]; do sleep 0.05; done
    echo "12:00:09.123  Rmv        0  12 local.               _ssh._tcp.           Jane's Mac" ;;
"-L Jane's Mac")
    echo 'Lookup'
    echo "12:00:00.345  Jane's\\\\032Mac._ssh._tcp.local. can be reached at localhost.:2200 (interface 12)"
    printf ' chip=Apple\\\\ M9 flag\\n' ;;
esac
exec sleep 60
"""


def test_a_table_for_people_is_read() -> None:
    found = [change for line in BROWSED.splitlines() if (change := comes(line))]
    assert found == [(True, "_ssh._tcp", "Jane's  Mac Studio"), (True, "_ssh._tcp", "mini")]
    assert comes("12:00:10.000  Rmv        0   6 local.               _ssh._tcp.           mini") == (
        False, "_ssh._tcp", "mini",
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


async def test_what_it_hears_comes_and_goes_on_the_board(tmp_path: Path) -> None:
    program = tmp_path / "dns-sd"
    program.write_text(STAND_IN)
    program.chmod(0o700)
    heard: asyncio.Queue[AnyEvent] = asyncio.Queue()
    listening = DnsSd(Board(heard.put_nowait, scope=None, clock=lambda: 1.0), heard.put_nowait, str(program))
    listening.start()
    try:
        async with asyncio.timeout(20):
            peer = await heard.get()
            assert isinstance(peer, PeerSeen), peer
            assert (peer.name, peer.host, peer.port) == ("Jane's Mac", "localhost", 2200)
            assert "127.0.0.1" in peer.addresses and peer.ways == ("dns-sd",)
            assert peer.txt == {"chip": "Apple M9", "flag": ""}
            (tmp_path / "dns-sd.gone").touch()
            assert isinstance(await heard.get(), PeerLost)
    finally:
        await listening.close()


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

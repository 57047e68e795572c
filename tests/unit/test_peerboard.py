"""Three ways to know a peer, merged into one list; and names that are anybody's."""

from __future__ import annotations

from core import events as ev
from core.joining import Wanted, mistake, suggested, why_not_add
from core.namesakes import doubt, peer_of
from core.peers.adverts import PEERS, Board, advert
from core.peers.known import Known
from core.state import ClusterState, apply

SSH = "_ssh._tcp.local."
STUDIO = Known(name="studio", host="studio.local", user="me", jump="")


class Desk:
    """A board, and the state that comes of what it says."""

    def __init__(self) -> None:
        self.state = ClusterState()
        self.alerts: list[str] = []
        self.board = Board(self._take, scope=None, clock=lambda: 1.0)

    def _take(self, event: ev.AnyEvent) -> None:
        self.state = apply(self.state, event)
        if isinstance(event, ev.Alert):
            self.alerts.append(event.text)

    def announce(self, name: str, host: str, *addresses: str, way: ev.Way = "mdns", **txt: str) -> None:
        properties = {key.encode(): value.encode() for key, value in txt.items()}
        self.board.put(advert(f"{name}.{SSH}", SSH, f"{host}.local.", 22, addresses, properties, way))

    def device(self, name: str, address: str, peer: str = "") -> None:
        seen = ev.DeviceSeen(t=1.0, device=name, name=name, address=address, status="ready", peer=peer)
        self.state = apply(self.state, seen)

    @property
    def rows(self) -> dict[str, tuple[str, tuple[ev.Way, ...]]]:
        return {key: (peer.name, peer.ways) for key, peer in self.state.peers.items()}


def test_a_known_host_and_its_adverts_are_one_peer_under_the_users_name() -> None:
    desk = Desk()
    desk.board.know([STUDIO, Known(name="studio", dial="studio.local", host="studio.local", way="config")])
    assert desk.rows == {"studio.local:22": ("studio", ("config", "ssh_config"))}
    desk.announce("Jane's Mac Studio", "Studio", "10.0.0.5", chip="M9")
    desk.announce("Jane's Mac Studio", "studio", "10.0.0.5", way="dns-sd")
    assert desk.rows == {"studio.local:22": ("studio", ("config", "ssh_config", "mdns", "dns-sd"))}
    peer = desk.state.peers["studio.local:22"]
    assert (peer.known, peer.login, peer.txt) == ("studio.local", "as me", {"chip": "M9"})
    desk.board.remove(f"Jane's Mac Studio.{SSH}")
    desk.board.remove(f"dns-sd Jane's Mac Studio.{SSH}")
    assert desk.rows == {"studio.local:22": ("studio", ("config", "ssh_config"))}


def test_a_known_address_is_found_among_those_announced_and_comes_back_when_the_advert_goes() -> None:
    desk = Desk()
    desk.board.know(
        [Known(name="studio", host="10.0.0.5"), Known(name="far", host="10.0.0.5", jump="bastion")]
    )
    alone = {"10.0.0.5:22": ("studio", ("ssh_config",)), "bastion>10.0.0.5:22": ("far", ("ssh_config",))}
    assert desk.rows == alone
    desk.announce("mac", "mac", "192.168.7.7", "10.0.0.5")
    assert desk.rows == {
        "bastion>10.0.0.5:22": ("far", ("ssh_config",)),
        "mac.local:22": ("studio", ("ssh_config", "mdns")),
    }
    desk.announce("mac", "mac", "192.168.7.7")
    assert desk.rows == {**alone, "mac.local:22": ("mac", ("mdns",))}
    desk.board.remove(f"mac.{SSH}")
    assert desk.rows == alone


def test_a_copied_name_is_flagged_and_inherits_nothing() -> None:
    desk = Desk()
    desk.board.know([STUDIO])
    desk.announce("Studio", "evil", "10.0.0.66", chip="[bold]M9[/]", memory="\x1b[31m1")
    evil = desk.state.peers["evil.local:22"]
    assert evil.known == "" and evil.login == ""
    assert doubt(desk.state, evil) == "not your studio: another machine that calls itself so"
    assert suggested(desk.state, evil) == Wanted(name="Studio at 10.0.0.66")
    assert evil.txt == {"chip": "[bold]M9[/]", "memory": "1"}
    assert doubt(desk.state, desk.state.peers["studio.local:22"]) == ""


def test_a_copied_address_is_dialled_by_the_name_the_user_knows() -> None:
    desk = Desk()
    desk.board.know([Known(name="studio", host="10.0.0.5")])
    desk.announce("evil", "evil", "10.0.0.5")
    desk.announce("real", "real", "10.0.0.5")
    peers = desk.state.peers.values()
    assert sorted(peer.known for peer in peers) == ["", "studio"], (
        "one peer is the known host, and dialled as it"
    )


def test_the_name_of_a_device_is_its_own() -> None:
    desk = Desk()
    desk.device("mini", "10.0.0.9")
    desk.announce("mini", "mini", "10.0.0.9")
    desk.announce("MINI", "other", "10.0.0.66")
    own, other = (desk.state.peers[key] for key in ("mini.local:22", "other.local:22"))
    assert peer_of(desk.state, desk.state.devices["mini"]) == own
    assert doubt(desk.state, own) == "" and doubt(desk.state, other).startswith("not your mini")
    assert why_not_add(desk.state, own) == "is in the cluster already"
    assert why_not_add(desk.state, other) is None
    assert mistake(desk.state, Wanted(name="mini")) == ("name", "there is a device called mini")


def test_two_strangers_of_one_name_are_both_flagged() -> None:
    desk = Desk()
    desk.announce("mac", "a", "10.0.0.1")
    desk.board.put(advert(f"mac._sftp-ssh.{SSH}", SSH, "b.local.", 22, ["10.0.0.2"], {}))
    desk.announce("mac ", "b", "10.0.0.2", way="dns-sd")
    told = {peer.host: doubt(desk.state, peer) for peer in desk.state.peers.values()}
    assert told["a.local"] == "b.local calls itself so too"


def test_a_flood_does_not_crowd_out_hosts_of_the_users_own() -> None:
    desk = Desk()
    for number in range(10_000):
        desk.announce(f"m{number}", f"m{number}", "10.9.9.9")
    desk.board.know([STUDIO])
    assert len(desk.state.peers) == PEERS + 1
    assert desk.state.peers["studio.local:22"].name == "studio"
    assert len(desk.alerts) == 1 and "flooding" in desk.alerts[0]


def test_what_can_not_be_meant_is_said_by_field() -> None:
    state = ClusterState()
    assert mistake(state, Wanted(name=" "))[0] == "name"
    assert mistake(state, Wanted(name="a", port="22x"))[0] == "port"
    assert mistake(state, Wanted(name="a", port="65536"))[0] == "port"
    assert mistake(state, Wanted(name="a", port="2222")) is None

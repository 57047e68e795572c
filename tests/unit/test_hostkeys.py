from __future__ import annotations

import base64
import hashlib
import hmac
import stat
from pathlib import Path

import asyncssh
import pytest

from core.remote.hostkeys import HostKeys

HOST, ADDRESS = "studio.local", "192.0.2.7"


def key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519").convert_to_public()


def line(name: str, of: asyncssh.SSHKey) -> str:
    return f"{name} {of.export_public_key().decode()}"


@pytest.fixture
def keys(tmp_path: Path) -> HostKeys:
    return HostKeys(tmp_path / "own" / "known_hosts", (tmp_path / "users",))


def test_nothing_is_on_record_without_files(keys: HostKeys) -> None:
    assert keys.load().match(HOST, ADDRESS, None)[0] == []
    assert keys.recorded(HOST, ADDRESS, 22) == {}


@pytest.mark.parametrize(("port", "other"), [(22, 2222), (2222, 22), (2222, 2223)])
def test_a_pinned_key_is_on_record_for_its_port_alone(keys: HostKeys, port: int, other: int) -> None:
    pinned = key()
    keys.pin(HOST, port, pinned)
    assert keys.recorded(HOST, ADDRESS, port) == {keys.path: [pinned.get_fingerprint()]}
    assert keys.recorded(HOST, ADDRESS, other) == {}
    assert keys.recorded("else.local", ADDRESS, port) == {}
    # What asyncssh asks when it connects: None is the usual port.
    assert keys.load().match(HOST, ADDRESS, None if port == 22 else port)[0] == [pinned]


def test_an_address_is_on_record_as_a_name_is(keys: HostKeys) -> None:
    pinned = key()
    keys.pin(ADDRESS, 22, pinned)
    assert keys.recorded(HOST, ADDRESS, 22) == {keys.path: [pinned.get_fingerprint()]}


def test_our_file_is_private_and_the_users_is_only_read(keys: HostKeys, tmp_path: Path) -> None:
    users = tmp_path / "users"
    theirs, ours = key(), key()
    users.write_text(line(HOST, theirs))
    keys.pin(HOST, 22, ours)
    assert users.read_text() == line(HOST, theirs)
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700
    assert keys.recorded(HOST, ADDRESS, 22) == {
        keys.path: [ours.get_fingerprint()],
        users: [theirs.get_fingerprint()],
    }


def test_pins_add_up_also_behind_an_unfinished_line(keys: HostKeys) -> None:
    pinned = [key() for _ in range(3)]
    keys.pin("a", 22, pinned[0])
    keys.path.write_text(keys.path.read_text().rstrip("\n"))  # as an editor may leave it
    keys.pin("b", 22, pinned[1])
    keys.pin("c", 22, pinned[2])
    assert [keys.load().match(name, "", None)[0] for name in "abc"] == [[one] for one in pinned]
    assert len(keys.path.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    "rubbish", [b"oneword", b"|9|x|y ssh-ed25519 AAAA", b"@strange host ssh-rsa A", b"\xff\xfe x y", b"# x"]
)
def test_a_line_that_is_none_hides_no_other(keys: HostKeys, tmp_path: Path, rubbish: bytes) -> None:
    known = key()
    (tmp_path / "users").write_bytes(rubbish + b"\n" + line(HOST, known).encode() + rubbish)
    assert keys.load().match(HOST, ADDRESS, None)[0] == [known]


def test_a_name_hashed_by_openssh_is_recognised(keys: HostKeys, tmp_path: Path) -> None:
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, HOST.encode(), hashlib.sha1).digest()
    name = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    known = key()
    (tmp_path / "users").write_text(line(name, known))
    assert keys.recorded(HOST, "", 22) == {tmp_path / "users": [known.get_fingerprint()]}


HOSTILE = [
    "*", "?", "studio*", "mini.local,*", "mini.local,studio.local", "0.0.0.0/0", "::/0", "192.0.2.0/24",
    "!mini.local,*", "|1|x|y", "@cert-authority *", "#x", "a b", "a\n*", "a\n", "a\x85*", "a\u2028*", "",
    f"[{HOST}]:2222", "[a-z]*", "-oProxyCommand=x", "$(x)", "`x`", "a;b", "a'b", 'a"b', "a\\b", "\udcff",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTILE)
def test_a_name_that_is_no_single_hosts_is_never_pinned(keys: HostKeys, host: str) -> None:
    with pytest.raises(ValueError, match="is not a host name"):
        keys.pin(host, 22, key())
    assert not keys.path.exists()


@pytest.mark.parametrize("host", ["mini", "Müllers-Mac.local", "::1", "fe80::1%en0", "gpu_2", "me@gpu+big"])
def test_the_names_that_hosts_have_are_pinned_and_known_again(keys: HostKeys, host: str) -> None:
    pinned = key()
    for port in (22, 2222):
        keys.pin(host, port, pinned)
        assert keys.recorded(host, "", port) == {keys.path: [pinned.get_fingerprint()]}
    assert keys.recorded(HOST, ADDRESS, 22) == {}

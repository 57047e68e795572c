"""Hosts that the user's own files name."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.peers.known import HOSTS, Known, ssh_hosts

CONFIG = """
# a comment
Include conf.d/*.conf
User nobody-special

Host studio st
    HostName studio.local
    IdentityFile ~/.ssh/cluster
    Port=2222

Host *.example.com !bad.example.com
    User wild

host "mini one"
    hostname %h.lan

Host far.example.com
    ProxyJump me@bastion:2200
    Port 22

Host github.com
    User git

Host late
    Port none-such
Match host studio exec "touch /tmp/never"
    User matched
"""


def test_each_host_by_a_name_is_found_with_what_the_file_says_of_it(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.conf").write_text("Host included\n  HostName 10.0.0.7\n  User ann\n")
    (tmp_path / "config").write_text(CONFIG)
    found = {one.name: one for one in ssh_hosts(tmp_path / "config")}
    studio = Known(name="studio", host="studio.local", port=2222, user="nobody-special", key="~/.ssh/cluster")
    assert found == {
        "included": Known(name="included", host="10.0.0.7", user="ann"),
        "studio": studio,
        "st": Known(name="st", host="studio.local", port=2222, user="nobody-special", key="~/.ssh/cluster"),
        "mini one": Known(name="mini one", host="mini one.lan", user="nobody-special"),
        "far.example.com": Known(
            name="far.example.com", host="far.example.com", user="nobody-special", jump="me@bastion:2200"
        ),
        "github.com": Known(name="github.com", host="github.com", user="nobody-special"),
    }
    assert studio.login == "as nobody-special, key ~/.ssh/cluster"
    assert found["far.example.com"].place == "me@bastion:2200>far.example.com:22"


def test_what_is_no_machine_to_work_on_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host github.com\n User git\nHost *\n Port 22\nHost -oProxyCommand=x\n")
    assert ssh_hosts(tmp_path / "config") == ()
    assert ssh_hosts(tmp_path / "none") == ()


def test_files_that_include_each_other_and_very_many_hosts_end(tmp_path: Path) -> None:
    hosts = "".join(f"Host h{number}\n" for number in range(HOSTS + 50))
    (tmp_path / "config").write_text(f"Include config\nInclude {tmp_path}/config\n{hosts}")
    assert len(ssh_hosts(tmp_path / "config")) == HOSTS


@given(st.binary(max_size=300))
def test_any_file_can_be_read(tmp_path_factory, junk: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(b"Host a \xff\nHostName " + junk)
    for one in ssh_hosts(path):
        assert one.name.isprintable() and 0 < one.port < 65536

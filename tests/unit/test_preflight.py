"""What is found on a device before it may hold a rank."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import events as ev
from core.checks import ENTRY, checks
from core.plan.check import unlike
from core.probe.preflight import MARK, Seen, judge, preflight, read
from core.remote.local import LocalMachine
from core.remote.provision import here
from core.state import ClusterState, apply
from core.text import clean_line

GOOD = Seen("3.12.1", "0.32.4", "0.32.2", 1000.0, 2**40)
WANTED = {"mlx": "0.32.4", "mlx-lm": "0.32.2"}


def _failed(seen: Seen, noise: str = "") -> dict[str, str]:
    return {check.name: check.told for check in judge(seen, noise, WANTED, 1000.0) if not check.ok}


async def test_this_machine_has_what_the_console_has(tmp_path: Path) -> None:
    checked = await preflight(LocalMachine(sys.executable, tmp_path), "here", here(), time.time())
    assert {"mlx": checked.mlx, "mlx-lm": checked.mlx_lm} == here() and not checked.own
    assert {check.name for check in checked.checks if check.ok} >= {"python", "mlx", "mlx-lm", "clock"}


async def test_an_interpreter_that_says_nothing_is_the_one_check_that_fails(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'license not accepted' >&2; exit 69\n")
    broken.chmod(0o755)
    checked = await preflight(LocalMachine(str(broken), tmp_path), "mac", WANTED, 0.0)
    [check] = checked.checks
    assert (check.name, check.ok, check.told) == ("python", False, "license not accepted")
    assert "config.toml" in check.remedy


async def test_the_stub_of_a_mac_without_developer_tools_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell of the guard is one that finds python3 where a Mac has its stub, which opens a dialog."""
    dialog, stub = tmp_path / "dialog", tmp_path / "python3"
    shell = 'exec /bin/sh "$1" "command() { echo /usr/bin/python3; }\n$2" sh "$4" "$5" "$6" "$7"'
    fakes = {"uname": "echo Darwin", "xcode-select": "exit 2", "sh": shell, "python3": f"echo >{dialog}"}
    for name, script in fakes.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    checked = await preflight(LocalMachine(str(stub), tmp_path), "mac", WANTED, 0.0)
    [check] = checked.checks
    assert (check.name, check.ok, check.told) == ("python", False, f"there is no {stub}")
    assert not dialog.exists()


def test_each_lack_is_named_with_a_remedy() -> None:
    assert _failed(GOOD) == {}
    assert _failed(Seen("3.9.6", "", "0.31.0", 0.0, 2**20), "Welcome!") == {
        "python": "3.9.6",
        "mlx": "is not installed",
        "mlx-lm": "0.31.0, here 0.32.2",
        "disk": "1 MiB free",
        "clock": "-1000 s off this one's",
        "shell": "prints 'Welcome!'",
    }
    bad = judge(Seen("3.9.6", "", "0.31.0", 0.0, 2**20), "Welcome!", WANTED, 1000.0)
    assert all(check.remedy for check in bad)


def test_other_versions_are_told_by_who_has_them() -> None:
    assert unlike({"a": ("1", "2"), "b": ("1", "2")}) == unlike({}) == ""
    told = unlike({"a": ("1", "2"), "b": ("0", "2"), "c": ("1", "2")})
    assert "a has mlx 1 with mlx-lm 2 and b has mlx 0 with mlx-lm 2" in told and "c" not in told.split()


@given(st.lists(st.one_of(st.binary(), st.binary().map(lambda data: MARK.encode() + data))))
def test_whatever_a_device_prints_is_read_or_left(lines: list[bytes]) -> None:
    seen, noise = read(lines)
    assert noise == clean_line(noise)
    if seen is not None:
        assert all(check.told == clean_line(check.told) for check in judge(seen, noise, WANTED, 0.0))


def test_a_look_that_says_more_than_anybody_means_is_left() -> None:
    assert read([MARK.encode() + b'{"more": ' + b"[" * 30_000, b"hi"]) == (None, "hi")


@pytest.mark.parametrize("field", ["python", "mlx", "mlx_lm"])
def test_escapes_in_a_version_do_not_come_through(field: str) -> None:
    hostile = {"python": "3.12", "mlx": "1", "mlx_lm": "1", "time": 0, "disk": 0, field: "\x1b[2J9"}
    seen, _ = read([MARK.encode() + json.dumps(hostile).encode()])
    assert seen is not None
    assert all("\x1b" not in check.told for check in judge(seen, "", WANTED, 0.0))


def test_the_list_goes_from_the_first_packet_to_the_last_byte() -> None:
    state = ClusterState()
    entry = tuple(ev.Check(name, True, "") for name in ENTRY)
    for event in (
        ev.DeviceSeen(t=1, device="a", name="a", address="", status="ready"),
        ev.DeviceChecked(t=1, device="a", checks=(*entry, *judge(GOOD, "", WANTED, 1000.0))),
        ev.DeviceSample(t=1, device="a", memory_total=2**34, memory_used=2**34 - 2**27, memory_limit=2**34),
    ):
        state = apply(state, event)
    made = {check.name: check for check in checks(state.devices["a"])}
    assert list(made) == ["reach", "host key", "login", "python", "mlx", "mlx-lm", "disk", "clock", "memory"]
    assert [name for name, check in made.items() if not check.ok] == ["memory"]
    assert made["memory"].told == "128 MiB of 16.0 GiB free" and made["memory"].remedy

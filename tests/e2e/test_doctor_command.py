"""`exo-tui doctor`, on devices that are really there."""

from __future__ import annotations

import getpass
from pathlib import Path

import msgspec

from tests.e2e.commandline import CommandLine


def test_it_says_of_a_host_that_does_not_answer_why(exo: CommandLine) -> None:
    done = exo.run("doctor", "127.0.0.7", "--json")
    [finding] = [one for one in done.json["findings"] if one["level"] == "error"]
    assert finding["where"] == "127.0.0.7" and "refuses SSH connections" in finding["why"]
    assert finding["commands"] == [{"device": "127.0.0.7", "text": "sudo systemsetup -setremotelogin on"}]


def test_a_rehearsal_can_be_examined_and_its_bundle_names_nobody(exo: CommandLine, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.json"
    done = exo.run("doctor", "--demo-devices", 2, "--collect", bundle)
    assert done.code == 0, done.err
    assert "2 devices looked at, nothing to mend" in done.err
    text = bundle.read_text()
    document = msgspec.json.decode(text)
    assert document["format"] == "exo-tui-doctor/1"
    assert [device["name"] for device in document["devices"]] != ["demo-a", "demo-b"]
    assert "demo-a" not in text and f"/{getpass.getuser()}/" not in text
    exo.leaves_nothing()


def test_a_bundle_that_cannot_be_written_is_a_failure(exo: CommandLine, tmp_path: Path) -> None:
    done = exo.run("doctor", "127.0.0.7", "--collect", tmp_path)
    assert done.code == 1 and "cannot write" in done.err

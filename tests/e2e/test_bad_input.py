"""What cannot work is said in one line on stderr: exit 2 for what was typed, 1 for what failed. Nothing
is left behind, and nothing half done."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from core.bus import Bus
from core.session.record import Recorder
from tests.e2e.commandline import CommandLine, Done
from tests.tiny_models import LAYERS

ASK = ("--prompt", "Hello", "--max-tokens", 4)
DEMO = ("--demo-devices", 2)


@pytest.fixture
def model(tiny: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a model, to be spoilt."""
    return shutil.copytree(tiny("llama"), tmp_path / "model")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections: bound, so that nobody else gets it, and never listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def refused(done: Done, code: int, *words: str) -> None:
    """The command said one line with all of these words."""
    complaint = done.complaint
    assert done.code == code, complaint
    for word in words:
        assert word in complaint


# Models


def test_no_such_model_directory(exo: CommandLine, tmp_path: Path) -> None:
    refused(exo.run("run", tmp_path / "nowhere", *DEMO, *ASK), 2, "no directory", "nowhere")


def test_a_directory_without_a_config(exo: CommandLine, tmp_path: Path) -> None:
    refused(exo.run("run", tmp_path, *DEMO, *ASK), 2, str(tmp_path), "config.json")


def test_a_directory_without_weights(exo: CommandLine, model: Path) -> None:
    (model / "model.safetensors").unlink()
    refused(exo.run("run", model, *DEMO, *ASK), 2, str(model), "safetensors")


def test_a_truncated_weight_file(exo: CommandLine, model: Path) -> None:
    weights = model / "model.safetensors"
    os.truncate(weights, weights.stat().st_size - 1)
    refused(exo.run("run", model, *DEMO, *ASK), 2, str(weights), "truncated")


def test_a_model_no_worker_can_load(exo: CommandLine, model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"model_type": "llamantis"}))
    refused(exo.run("run", model, *DEMO, *ASK), 2, "llamantis", "mlx-lm")


def test_a_model_without_a_tokenizer(exo: CommandLine, model: Path) -> None:
    for file in model.glob("tokenizer*"):
        file.unlink()
    refused(exo.run("run", model, *DEMO, *ASK), 1, "rank 0 on demo-")


def test_a_cache_that_cannot_be_written(exo: CommandLine, tmp_path: Path) -> None:
    exo.env["EXO_TUI_CACHE"] = str(tmp_path / "file")
    (tmp_path / "file").touch()
    # What is being done is told as well, on lines of its own.
    done = exo.run("run", "demo", *DEMO, *ASK)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[-1].startswith("exo-tui: cannot make SmolLM2")
    assert "Traceback" not in done.err


# Splits and devices


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("--split", "3,2"), ("3+2 is 5 layers", f"has {LAYERS}")),
        (("--split", "6,0"), ("6,0", "no layer")),
        (("--split", "6,-1"), ("6,-1", "not a split")),
        (("--split", "six"), ("six", "not a split")),
        (("--split", ""), ("not a split",)),
        (("--on", "demo-a,demo-b"), ("--on", "--split")),
        (("--split", "3,3", "--on", "demo-a"), ("2 parts", "1 devices")),
        (("--split", "3,3", "--on", "demo-a,demo-a"), ("demo-a", "twice")),
        (("--split", "3,3", "--mode", "tensor"), ("--on a+b",)),
        (("--split", "3,3", "--on", "demo-a,demo-b+demo-a"), ("demo-a", "twice")),
        (("--demo-devices", "0"), ("--demo-devices", "0")),
        (("--context", "none"), ("--context", "none")),
        (("--max-tokens", "0"), ("--max-tokens", "0")),
        (("--temp", "nan"), ("--temp", "nan")),
        (("--temp", "-1"), ("--temp", "-1")),
        (("--top-p", "0"), ("--top-p",)),
        (("--backend", "pigeons"), ("--backend", "pigeons")),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "refused",
)
def test_what_was_typed_cannot_be_meant(typed, words, exo: CommandLine, tiny) -> None:
    refused(exo.run("run", tiny("llama"), *DEMO, *ASK, *typed), 2, *words)


@pytest.mark.parametrize("typed", [(), ("--wait", "nan"), ("--wait", "-1"), ("--wait", "soon")], ids=str)
def test_commands_that_are_none(typed, exo: CommandLine) -> None:
    command = "devices" if typed else "conquer"
    refused(exo.run(command, *typed), 2, "--help")


def test_a_split_over_more_devices_than_there_are(exo: CommandLine, tiny) -> None:
    refused(exo.run("run", tiny("llama"), *DEMO, *ASK, "--split", "2,2,2"), 1, "3", "2 devices")


def test_a_tensor_group_that_cannot_share_the_model(exo: CommandLine, tiny) -> None:
    tensor = ("--mode", "tensor")
    refused(exo.run("run", "demo", *DEMO, *ASK, *tensor), 1, "num_attention_heads 9", "3 devices could")
    refused(exo.run("run", tiny("llama"), *DEMO, *ASK, *tensor, "--backend", "sockets"), 1, "MLX's ring")
    split = ("--split", "6", "--on", "demo-a+demo-b")
    refused(exo.run("run", tiny("llama_q4"), *DEMO, *ASK, *split), 1, "whole groups of 32 packed weights")


def test_a_device_nobody_knows(exo: CommandLine, tiny) -> None:
    split = ("--split", "3,3", "--on", "demo-a,attic")
    refused(exo.run("run", tiny("llama"), *DEMO, *ASK, *split), 1, "attic")


def test_a_device_that_refuses_ssh(exo: CommandLine, tiny, closed_port: int) -> None:
    entry = f'[[device]]\nname = "desk"\nhost = "127.0.0.1"\nport = {closed_port}\n'
    reason = f"desk is lost: 127.0.0.1:{closed_port} refuses SSH connections"

    exo.configure(f"local = false\n{entry}")
    refused(exo.run("run", tiny("llama"), *ASK), 1, "no plan", reason)
    [device] = exo.run("devices", "--wait", 1, "--json").json["devices"]
    assert (device["id"], device["status"]) == ("desk", "lost")

    # With another device the run goes on, and says without whom; unless the missing one was asked for.
    exo.configure(entry)
    done = exo.run("run", tiny("llama"), *ASK)
    assert done.code == 0
    assert f"exo-tui: going on without: {reason}" in done.err
    refused(exo.run("run", tiny("llama"), *ASK, "--split", "3,3", "--on", "this-machine,desk"), 1, reason)


def test_not_enough_memory(exo: CommandLine, model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 10**7}))
    refused(exo.run("run", model, *DEMO, *ASK, "--context", 10**7), 1, "no plan", "GiB", "context")
    split = ("--split", "3,3")
    refused(exo.run("run", model, *DEMO, *ASK, "--context", 10**7, *split), 1, "no plan", "GiB", "context")


# Files


def test_a_recording_is_never_overwritten(exo: CommandLine, tiny, tmp_path: Path) -> None:
    precious = tmp_path / "precious.exo"
    precious.write_text("precious")
    refused(exo.run("run", tiny("llama"), *DEMO, *ASK, "--record", precious), 1, str(precious), "exists")
    assert precious.read_text() == "precious"


def test_a_recording_nobody_can_write(exo: CommandLine, tiny, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "file"
    refused(exo.run("run", tiny("llama"), *DEMO, *ASK, "--record", nowhere), 1, "cannot write", str(nowhere))


def test_recordings_that_cannot_be_played(exo: CommandLine, tmp_path: Path) -> None:
    newer = msgspec.json.encode({"format": "exo-tui-session", "version": 99}) + b"\n"
    (tmp_path / "newer").write_bytes(zstandard.compress(newer))
    (tmp_path / "text").write_text("Dear diary")
    refused(exo.run("replay", tmp_path / "newer"), 1, "version 99", "version 1")
    refused(exo.run("replay", tmp_path / "text"), 1, "not an exo-tui recording")
    refused(exo.run("replay", tmp_path / "absent"), 1, "cannot read")
    refused(exo.run("replay", tmp_path), 1, "cannot read")


@pytest.mark.parametrize("cut", [0, 1], ids=["whole", "cut short"])
def test_a_playable_recording_needs_a_terminal(cut, exo: CommandLine, tmp_path: Path) -> None:
    Recorder(Bus(), tmp_path / "session").close()
    os.truncate(tmp_path / "session", (tmp_path / "session").stat().st_size - cut)
    refused(exo.run("replay", tmp_path / "session"), 2, "needs a terminal")


@pytest.mark.parametrize("command", [(), ("demo",)], ids=str)
def test_the_console_needs_a_terminal(command, exo: CommandLine) -> None:
    refused(exo.run(*command), 2, "needs a terminal")


@pytest.mark.parametrize(
    "written",
    ["local = 3", "broken [", '[[device]]\nhots = "x"', '[[device]]\nhost = "x"\nport = 70000', "\ud800"],
    ids=["type", "syntax", "name", "port", "encoding"],
)
def test_settings_that_are_none(written, exo: CommandLine, tiny) -> None:
    file = exo.config / "config.toml"
    file.write_bytes(written.encode(errors="surrogatepass"))
    for command in (("info",), ("devices",), ("run", tiny("llama"), *ASK)):
        refused(exo.run(*command), 2, str(file))


@pytest.mark.parametrize("written", ["", "[]", '{"devices": [{"name": "x"}]}', "not JSON"])
def test_a_cluster_file_that_is_none(written, exo: CommandLine, tiny, tmp_path: Path) -> None:
    file = tmp_path / "cluster.json"
    file.write_text(written)
    refused(exo.run("plan", tiny("llama"), "--cluster", file), 2, str(file))


def test_cluster_files_no_plan_can_be_made_for(exo: CommandLine, tiny, tmp_path: Path) -> None:
    file = tmp_path / "cluster.json"
    refused(exo.run("plan", tiny("llama"), "--cluster", file), 2, "cannot read", str(file))
    file.write_text('{"devices": []}')
    refused(exo.run("plan", tiny("llama"), "--cluster", file), 2, str(file), "no device")
    file.write_text(json.dumps({"devices": [{"id": "full", "memory_limit": 2**30, "memory_used": 2**30}]}))
    refused(exo.run("plan", tiny("llama"), "--cluster", file), 1, "no device has memory free")


def test_a_port_in_use_is_named(exo: CommandLine, tiny) -> None:
    """Every port is the system's choice but one: multicast DNS has its number from a standard."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("a network of its own, where the port can be taken, needs unshare and root")
    taken = (unshare, "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *TAKER)
    refused(exo.run("run", tiny("llama"), *DEMO, *ASK, prefix=taken), 1, "UDP port 5353", "in use")


TAKER = (
    "python3",
    "-c",
    "import socket, subprocess, sys\n"
    "taken = socket.socket(type=socket.SOCK_DGRAM)\n"
    "taken.bind(('', 5353))\n"
    "sys.exit(subprocess.run(sys.argv[1:]).returncode)",
)


# What scripts read


def test_json_is_one_document_and_nothing_else(exo: CommandLine, tmp_path: Path) -> None:
    known = exo.run("info", "--json").json
    assert known["versions"]["exo-tui"]
    assert known["paths"]["config"] == str(exo.config / "config.toml")

    seen = exo.run("devices", "--json", "--wait", 3).json
    assert [device["id"] for device in seen["devices"]] == ["this-machine"]
    assert seen["devices"][0]["memory_limit"] > 0

    # What one command prints another one reads.
    (tmp_path / "cluster.json").write_text(json.dumps(seen))
    planned = exo.run("plan", "demo", "--cluster", tmp_path / "cluster.json", "--json").json
    assert planned["split"] == [30]
    assert planned["plan"]["stages"][0]["device"] == "this-machine"


def test_without_a_terminal_there_is_no_escape_sequence(exo: CommandLine) -> None:
    for command in (("info",), ("devices", "--wait", 0), ("plan", "demo"), ("--help",)):
        done = exo.run(*command)
        assert done.code == 0
        assert done.out and "\x1b" not in done.out + done.err

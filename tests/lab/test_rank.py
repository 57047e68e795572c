"""Ranks on hosts that only OpenSSH leads to: the answer, and that nothing outlives the console or a cable."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import mlx.core as mx
import mlx_lm
import pytest
from mlx_lm.generate import generate_step

from core.run.rank import LEASE, worker_files
from core.state import THIS_MACHINE
from tests.tiny_models import EOS, LAYERS, build

from .cluster import LIMIT, Setup, cleared, device, fingerprint_of, ours, workers
from .vlab import Lab

PROMPT = "def main(argument):"
COUNT = 24
LONG = 3000
"""Tokens: more than a test waits for."""

AT_ONCE = 5.0
SOON = 12.0
"""Seconds to notice a silent peer (4) and to end, on a busy machine."""

LEASE_OVER = LEASE + 2.0
"""Seconds after which no worker may be left: what README and design promise is 10."""

AGENT_OVER = 20.0
"""The agent, which holds no model, has a longer lease (15 s)."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("llama", tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def placed(model: Path) -> Callable[[Lab], Path]:
    """The model at a path that every host of a lab can read."""

    @cache
    def place(lab: Lab) -> Path:
        return shutil.copytree(model, lab.dir / "model")

    return place


@pytest.fixture(scope="module")
def alone(model: Path) -> list[int]:
    """What one process says to PROMPT, greedily."""
    mx.disable_compile()  # on a CPU each new kernel is a call of g++
    whole, tokenizer = mlx_lm.load(str(model))
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": PROMPT}], add_generation_prompt=True)
    ids: list[int] = []
    for token, _ in generate_step(mx.array(prompt), whole, max_tokens=COUNT):
        assert token != EOS, "the answer ends too soon to prove anything"
        ids.append(int(token))
    assert len(set(ids)) > 10, "the answer is too monotonous to prove anything"
    return ids


def _setup(lab: Lab, name: str, *hosts: str, recovers: bool = True) -> Setup:
    return Setup(lab, name, [device(lab[host]) for host in hosts], pinned=hosts, recovers=recovers)


def _wanted(on: list[str], split: list[int], tokens: int) -> list[str]:
    assert sum(split) == LAYERS
    counts = ",".join(map(str, split))
    options = ["--on", ",".join(on), "--split", counts, "--max-tokens", str(tokens)]
    return ["--prompt", PROMPT, "--temp", "0", *options]


@pytest.mark.parametrize(
    ("on", "split"),
    [(["h1"], [6]), (["h2", "h1"], [2, 4]), (["h1", THIS_MACHINE, "h2"], [1, 3, 2])],
    ids=lambda value: "-".join(map(str, value)),
)
def test_ranks_behind_openssh_say_what_one_process_says(
    on: list[str], split: list[int], lab: Lab, placed: Callable[[Lab], Path], alone: list[int]
) -> None:
    hosts = [name for name in on if name in lab.hosts]
    setup = _setup(lab, "-".join(on), *hosts)
    before = {host: ours(lab[host]) for host in hosts}
    said = setup.start("run", placed(lab), *_wanted(on, split, COUNT), "--json").answer()

    assert said["tokens"] == alone
    assert [rank["device"] for rank in said["ranks"]] == on
    assert [rank["end"] - rank["start"] for rank in said["ranks"]] == split
    for host in hosts:
        [shipped] = (lab[host].home / ".cache/exo-tui/worker").iterdir()
        for name, content in worker_files().items():
            assert (shipped / "worker" / name).read_bytes() == content
        assert (shipped / "worker/__pycache__").is_dir(), "that copy is not what ran"
        assert cleared(lambda host=host: ours(lab[host]).keys() - before[host].keys(), AT_ONCE) == set()
    assert "worker" not in str(lab["console"].ps())


@pytest.mark.parametrize("backend", ["sockets", "ring"])
def test_ranks_that_may_not_reach_each_other_meet_through_ssh(
    backend: str, lab: Lab, placed: Callable[[Lab], Path], alone: list[int]
) -> None:
    """What would go from one to the other falls into a hole: nothing but what SSH carries arrives."""
    setup = _setup(lab, f"tunnel-{backend}", "h1", "h2")
    apart = (("h1", lab["h2"].ip), ("h2", lab["h1"].ip))
    for host, other in apart:
        lab[host].run(["ip", "route", "add", "blackhole", f"{other}/32"])
    try:
        asked = _wanted(["h1", THIS_MACHINE, "h2"], [1, 3, 2], COUNT)
        said = setup.start("run", placed(lab), *asked, "--tunnel", "--backend", backend, "--json").answer()
    finally:
        for host, other in apart:
            lab[host].run(["ip", "route", "del", "blackhole", f"{other}/32"])
    assert (said["tokens"], said["backend"]) == (alone, backend)


def test_a_run_on_a_host_with_an_unknown_key_fails_with_its_fingerprint(
    lab: Lab, placed: Callable[[Lab], Path]
) -> None:
    setup = Setup(lab, "unknown", [device(lab["h1"])], pinned=[])
    command = setup.start("run", placed(lab), *_wanted(["h1"], [6], COUNT), "--json")
    out, _ = command.process.communicate(timeout=LIMIT)
    assert (command.process.returncode, out) == (1, b"")
    [line] = command.complaints.splitlines()
    assert "h1 is not ready" in line and fingerprint_of(lab["h1"]) in line and "console" in line
    assert setup.known_hosts.read_text() == ""


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_no_worker_outlives_the_console(way: signal.Signals, lab: Lab, placed: Callable[[Lab], Path]) -> None:
    """A killed console closes its connections; a frozen one holds them open, and only the lease is left."""
    setup = _setup(lab, way.name, "h1", "h2")
    command = setup.start("run", placed(lab), *_wanted(["h1", "h2"], [3, 3], LONG))
    try:
        command.first_output()
        assert workers(lab["h1"]) and workers(lab["h2"])
        command.process.send_signal(way)
        begun = time.monotonic()
        for host in ("h1", "h2"):
            left = cleared(lambda host=host: workers(lab[host]), LEASE_OVER - (time.monotonic() - begun))
            assert left == []
    finally:
        command.process.kill()
        command.process.wait(LIMIT)
    for host in ("h1", "h2"):
        assert cleared(lambda host=host: ours(lab[host]), AGENT_OVER) == {}


def test_a_cable_unplugged_in_mid_answer_fails_the_run_and_names_the_device(
    fresh_lab: Lab, placed: Callable[[Lab], Path]
) -> None:
    setup = _setup(fresh_lab, "unplugged", "h1", "h2", recovers=False)
    command = setup.start("run", placed(fresh_lab), *_wanted(["h1", "h2"], [3, 3], LONG))
    command.first_output()
    fresh_lab.unplug("h2")
    begun = time.monotonic()
    assert command.end(timeout=SOON) == 1
    # Its connection ends or its beats stay away: whichever is seen first.
    assert "rank 1 on h2" in command.complaints
    assert "h1" not in command.complaints
    for host in ("h1", "h2"):
        left = cleared(lambda host=host: workers(fresh_lab[host]), LEASE_OVER - (time.monotonic() - begun))
        assert left == []
        assert cleared(lambda host=host: ours(fresh_lab[host]), AGENT_OVER) == {}

"""The real agent, started as a device starts it: framed on stdin."""

from __future__ import annotations

import ast
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from core.probe import agent as on_device
from core.probe import frame, links, message, parse
from core.probe.cables import Path as NetworkPath
from core.probe.gauges import nvidia
from core.probe.readings import Readings

PATIENCE = 20
TOKEN = "0123456789abcdef" * 2
M = TypeVar("M", bound=message.Message)


class Agent:
    """A running agent: what it says, typed, and orders to it."""

    def __init__(self, rehearsal: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-u", "-c", frame.BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "EXO_TUI_REHEARSAL": rehearsal},
        )
        self.said: queue.Queue[message.Message] = queue.Queue()
        self.raw: list[bytes] = []
        self.write(frame.agent())
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.raw.append(line)
            self.said.put(message.read(line))

    def write(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def order(self, **order: Any) -> None:
        self.write(json.dumps(order).encode() + b"\n")

    def hear(self, kind: type[M]) -> M:
        """The next message of a kind; others before it are dropped."""
        deadline = time.monotonic() + PATIENCE
        while True:
            said = self.said.get(timeout=max(0.01, deadline - time.monotonic()))
            if isinstance(said, kind):
                return said

    def listen(self, *addresses: str) -> message.Listening:
        self.order(op="listen", addresses=addresses, token=TOKEN)
        return self.hear(message.Listening)

    def probe(self, port: int, token: str = TOKEN, **more: Any) -> message.Probed:
        self.order(op="probe", id="p1", address="127.0.0.1", port=port, token=token, **more)
        return self.hear(message.Probed)

    def end(self) -> int:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        code = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        self.process.stdout.close()
        return code


class Agents:
    """Starts agents and ends what is left of them."""

    def __init__(self) -> None:
        self.started: list[Agent] = []

    def __call__(self, rehearsal: str = "") -> Agent:
        self.started.append(Agent(rehearsal))
        return self.started[-1]


@pytest.fixture
def agents() -> Iterator[Agents]:
    agents = Agents()
    yield agents
    for agent in agents.started:
        agent.process.kill()
        agent.end()


def test_the_agent_is_python_3_8() -> None:
    source = Path(frame.__file__).with_name("agent.py").read_text()
    ast.parse(source, feature_version=(3, 8))


def test_it_says_its_facts_once_and_then_samples(agents: Agents) -> None:
    agent = agents()
    facts = parse.facts(agent.hear(message.Facts), "a", 1.0)
    assert (facts.device, facts.t, facts.budget) == ("a", 1.0, False)
    assert facts.cores >= 1 and facts.chip and facts.python == sys.version.split()[0]
    first, second = agent.hear(message.Sample), agent.hear(message.Sample)
    assert (first.seq, second.seq) == (0, 1)
    sample = parse.sample(second, "a", 2.0)
    assert 0 < sample.memory_used < sample.memory_limit <= sample.memory_total
    assert sample.load is not None
    assert sum(b'"ev":"facts"' in line for line in agent.raw) == 1


def test_the_end_of_stdin_ends_it(agents: Agents) -> None:
    agent = agents()
    agent.hear(message.Facts)
    assert agent.end() == 0


def test_silence_longer_than_the_lease_ends_it(agents: Agents) -> None:
    agent = agents()
    agent.order(op="lease", seconds=0.3)
    assert agent.process.wait(PATIENCE) == 3


def test_beats_keep_it_alive(agents: Agents) -> None:
    agent = agents()
    agent.order(op="lease", seconds=1)
    enough = threading.Event()

    def beat() -> None:
        while not enough.wait(0.02):
            agent.write(b"\n")

    beats = threading.Thread(target=beat)
    beats.start()
    try:
        start = time.monotonic()
        while agent.hear(message.Sample).seq < 2:
            pass
        assert time.monotonic() - start > 1
    finally:
        enough.set()
        beats.join(PATIENCE)


def test_beats_that_piled_up_while_it_was_stopped_count(agents: Agents) -> None:
    agent = agents()
    agent.order(op="lease", seconds=2)
    agent.listen("127.0.0.1")  # its answer shows that the lease counts
    agent.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, agent.process.pid, os.WSTOPPED | os.WNOWAIT)
    with pytest.raises(subprocess.TimeoutExpired):
        agent.process.wait(2.1)
    agent.order(op="lease", seconds=60)
    agent.process.send_signal(signal.SIGCONT)
    assert agent.listen("127.0.0.1").ports


def test_the_lease_holds_while_nobody_reads_what_it_says() -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-u", "-c", frame.BOOT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        # Each is answered by a line: far more than a pipe holds.
        process.stdin.write(frame.agent() + b'{"op":"nothing we know"}\n' * 20_000)
        process.stdin.write(b'{"op":"lease","seconds":0.3}\n')
        process.stdin.flush()
        assert process.wait(PATIENCE) == 3


def test_two_agents_measure_the_round_trip_between_them(agents: Agents) -> None:
    listener, prober = agents(), agents()
    listening = listener.listen("127.0.0.1", "203.0.113.77")
    assert list(listening.ports) == ["127.0.0.1"]
    assert listening.failed["203.0.113.77"]
    probed = prober.probe(listening.ports["127.0.0.1"], source="127.0.0.1", timeout=5)
    assert (probed.sent, probed.lost, probed.error, probed.local) == (30, 0, None, "127.0.0.1")
    event = links.measured(
        links.burst(probed), source="a", target="b", path=NetworkPath("loopback"), address="127.0.0.1", t=1.0
    )
    assert isinstance(event, links.LinkMeasured)
    assert 0 < event.min_us <= event.p50_us <= event.p99_us


def test_two_agents_measure_what_a_path_carries(agents: Agents) -> None:
    receiver, sender = agents(), agents()
    limits = {"seconds": 0.2, "bytes": 2**26, "token": TOKEN}
    for most in (2**26, 1000):
        receiver.order(op="sink", id="s", address="127.0.0.1", skip=0.05, **limits)
        port = receiver.hear(message.Sinking).port
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as stranger:
            stranger.sendall(b"f" * 32)
            assert stranger.recv(1) == b""
        sender.order(
            op="load", id="l", address="127.0.0.1", port=port, source="127.0.0.1", **{**limits, "bytes": most}
        )
        sent, came = sender.hear(message.Loaded), receiver.hear(message.Sunk)
        assert (sent.error, came.error) == (None, None)
        assert 0 < sent.bytes == came.bytes <= most
        assert (came.rate is not None and came.rate > 0) == (most > 1000)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), PATIENCE)


def test_a_measurement_that_cannot_be_says_why_at_both_ends(agents: Agents) -> None:
    agent = agents()
    limits = {"seconds": 0.1, "bytes": 1000, "token": TOKEN}
    agent.order(op="sink", id="s", address="203.0.113.77", **limits)
    assert agent.hear(message.Sunk).error
    agent.order(op="load", id="l", address="127.0.0.1", port=1, **limits)
    assert agent.hear(message.Loaded).error == "Connection refused"


def test_a_wrong_token_is_refused(agents: Agents) -> None:
    agent = agents()
    port = agent.listen("127.0.0.1").ports["127.0.0.1"]
    probed = agent.probe(port, token="f" * 32)
    assert probed.rtts_us == []
    assert probed.error
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n".ljust(32))
        assert stranger.recv(64) == b""


def test_one_who_says_nothing_is_shown_out(agents: Agents) -> None:
    port = agents().listen("127.0.0.1").ports["127.0.0.1"]
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as stranger:
        assert stranger.recv(64) == b""


def test_new_listeners_take_the_place_of_the_old(agents: Agents) -> None:
    agent = agents()
    old = agent.listen("127.0.0.1").ports["127.0.0.1"]
    agent.listen("127.0.0.1")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", old)):
                return
    pytest.fail("the old port still takes connections")


def test_nobody_listening_is_an_error_of_the_burst(agents: Agents) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound but not listening: refuses
        probed = agents().probe(bound.getsockname()[1])
    assert probed.rtts_us == [] and probed.error


def test_an_echo_delay_makes_round_trips_longer(agents: Agents, tmp_path: Path) -> None:
    agent = agents(f"1000000000:{os.getpid()}:{tmp_path}")
    port = agent.listen("127.0.0.1").ports["127.0.0.1"]
    (tmp_path / "echo-delay").write_text("20\n")
    slow = agent.probe(port, trips=3, warmup=1, timeout=5)
    assert len(slow.rtts_us) == 3 and min(slow.rtts_us) >= 40_000  # it delays its questions as well


def test_a_delayed_device_measures_its_links_as_slow(agents: Agents, tmp_path: Path) -> None:
    """A device behind a slow link is slow whoever asks."""
    port = agents().listen("127.0.0.1").ports["127.0.0.1"]
    (tmp_path / "echo-delay").write_text("20")
    slow = agents(f"1000000000:{os.getpid()}:{tmp_path}").probe(port, trips=3, warmup=1, timeout=5)
    assert len(slow.rtts_us) == 3 and min(slow.rtts_us) >= 20_000


def test_answers_later_than_the_timeout_are_lost(agents: Agents, tmp_path: Path) -> None:
    (tmp_path / "echo-delay").write_text("300")
    agent = agents(f"1000000000:{os.getpid()}:{tmp_path}")
    port = agent.listen("127.0.0.1").ports["127.0.0.1"]
    late = agent.probe(port, trips=3, warmup=0, timeout=0.01)
    assert (late.sent, late.lost, late.rtts_us) == (3, 3, [])


def test_a_rehearsal_device_measures_its_process_tree(agents: Agents, tmp_path: Path) -> None:
    agent = agents(f"5000000000:{os.getpid()}:{tmp_path}")
    assert parse.facts(agent.hear(message.Facts), "a", 1.0).budget
    before = parse.sample(agent.hear(message.Sample), "a", 1.0)
    assert before.memory_limit == before.memory_total == 5_000_000_000
    size = 64 * 2**20
    hold = f"import sys; held = bytes([1]) * {size}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout and child.stdout.readline()
        while True:  # the first may have been taken before the child held it
            after = parse.sample(agent.hear(message.Sample), "a", 2.0)
            if after.memory_used >= before.memory_used + size // 2:
                break
        child.communicate()


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'"x"', b"{}", b'{"op":"x"}', b'{"op":"listen"}', b'{"op":"probe","id":1}']
)
def test_an_order_it_cannot_read_is_refused_and_it_lives_on(agents: Agents, line: bytes) -> None:
    agent = agents()
    agent.write(line + b"\n")
    assert agent.hear(message.Refused).reason
    assert agent.listen("127.0.0.1").ports


def test_it_tells_what_it_reads_beside_the_samples_and_again_only_when_it_changed(agents: Agents) -> None:
    agent = agents()
    readings = Readings(agent.hear(message.Facts).system, shared=False)
    counted = 0
    said: list[str] = []
    while counted < 3:  # the counters are told at every look
        read = agent.hear(message.Read)
        readings.take(read, 1.0)
        said.append(read.name)
        counted += read.name == "counters"
    wiring = readings.wiring()
    loopback = wiring.at("127.0.0.1")
    assert loopback is not None and loopback.kind == "loopback"
    assert said.count("sysfs_net") == 1


def test_what_a_program_does_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, script in {
        "fails": "echo half; echo why >&2; exit 3",
        "hangs": "exec sleep 60",
        "floods": "yes no | head -c 100000",
        "packed": "printf '  a\\n\\n   b\\n'",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    for source in (
        on_device.Source("fails", 1, 5, "fails"),
        on_device.Source("hangs", 1, 0.2, "hangs"),
        on_device.Source("floods", 1, 5, "floods"),
        on_device.Source("packed", 1, 5, "packed", packed=True),
        on_device.Source("missing", 1, 5, "no-such-program"),
    ):
        assert source.look() and not source.look()
    said = [message.read(line.encode()) for line in capfd.readouterr().out.splitlines()]
    assert [(one.text, one.code, one.problem) for one in said if isinstance(one, message.Read)] == [
        ("half\n", 3, "why"),
        (None, None, "it did not answer within 0.2 s"),
        (None, 0, "it printed more than is read"),
        ("a\n\nb", 0, ""),
        (None, None, "there is no no-such-program"),
    ]


def test_a_program_that_prints_on_and_on_is_followed_to_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "talks").write_text("#!/bin/sh\necho 1\necho 2\necho no more\nexit 4\n")
    (tmp_path / "talks").chmod(0o755)
    reason = on_device.Stream("talks", "talks").listen(str(tmp_path / "talks"))
    said = [message.read(line.encode()) for line in capfd.readouterr().out.splitlines()]
    assert [one.text for one in said if isinstance(one, message.Read)] == ["1", "2", "no more"]
    assert reason == "talks ended (4) no more"


def test_of_a_table_that_is_printed_again_and_again_the_newest_row_of_each_card_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = "printf '0, 100, 5, 40, 50\\n1, 200, 7, 45, 70\\n0, 110, 6, 41, 51\\n'; echo it has failed"
    (tmp_path / "prints").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "prints").chmod(0o755)
    on_device.Stream("nvidia_smi", "prints").listen(str(tmp_path / "prints"))
    said = [message.read(line.encode()) for line in capfd.readouterr().out.splitlines()]
    first, both, newer, failed = (one.text for one in said if isinstance(one, message.Read))
    assert first == "0, 100, 5, 40, 50"
    assert both == "0, 100, 5, 40, 50\n1, 200, 7, 45, 70"
    assert newer == "0, 110, 6, 41, 51\n1, 200, 7, 45, 70"
    assert failed == "it has failed"
    assert nvidia(newer or "").power == 121.0

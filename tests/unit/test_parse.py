"""Raw command output to events. The outputs are synthetic: figures chosen so that sums are easy to follow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.probe import linux, macos, message, parse

GIB = 2**30

MEMINFO = """MemTotal:       16777216 kB
MemAvailable:   12582912 kB
SwapTotal:       2097152 kB
SwapFree:        1048576 kB"""

VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               10000.
Pages active:                            400000.
Pages inactive:                          300000.
Pages speculative:                        20000.
Pages throttled:                              0.
Pages wired down:                        100000.
Pages purgeable:                          50000.
"Translation faults":                 123456789.
File-backed pages:                       270000.
Anonymous pages:                         450000.
Pages stored in compressor:               90000.
Pages occupied by compressor:             30000.
"""

SYSCTL = """vm.swapusage: total = 4096.00M  used = 1536.50M  free = 2559.50M  (encrypted)
vm.loadavg: { 2.50 1.75 1.25 }
iogpu.wired_limit_mb: 0
hw.memsize: 34359738368
kern.memorystatus_vm_pressure_level: 1
"""


def facts(system: str, **sources: str) -> message.Facts:
    return message.Facts(system, "node", "6.1.0", "arm64", "3.12.1", sources)


def linux_sample(**sources: str) -> message.Sample:
    return message.Sample("Linux", 0, {"meminfo": MEMINFO, **sources})


def mac_sample(sysctl: str = SYSCTL, vm_stat: str = VM_STAT, **sources: str) -> message.Sample:
    return message.Sample("Darwin", 0, {"sysctl": sysctl, "vm_stat": vm_stat, **sources})


def test_linux_memory_is_what_is_not_available() -> None:
    sample = linux.sample(linux_sample(loadavg="0.52 0.40 0.30 1/93 7084\n"), "a", 1.0)
    assert (sample.memory_total, sample.memory_used, sample.memory_limit) == (16 * GIB, 4 * GIB, 16 * GIB)
    assert (sample.swap_used, sample.load) == (GIB, 0.52)


@pytest.mark.parametrize(
    ("cgroup", "limit", "used"),
    [
        (f"{8 * GIB} {3 * GIB} {GIB}", 8 * GIB, 2 * GIB),
        (f"max {3 * GIB} 0\n{8 * GIB} {5 * GIB} {GIB}\n{12 * GIB} {6 * GIB} 0", 8 * GIB, 4 * GIB),
        (f"9223372036854771712 {3 * GIB} 0", 16 * GIB, 4 * GIB),
        (f"{64 * GIB} {3 * GIB} 0", 16 * GIB, 4 * GIB),
        (f"{8 * GIB} {GIB} {2 * GIB}", 8 * GIB, 0),
        (f"{14 * GIB} {GIB} 0", 16 * GIB, 4 * GIB),
        (f"{8 * GIB} {5 * GIB} 0\n{12 * GIB} {11 * GIB} 0", 12 * GIB, 11 * GIB),
    ],
    ids=[
        "v2", "the narrowest of nested ones", "v1 unlimited", "above the RAM", "raced counters",
        "others take the RAM", "a parent is nearly full",
    ],
)  # fmt: skip
def test_of_the_ram_and_linux_cgroups_below_it_that_with_the_least_room_counts(
    cgroup: str, limit: int, used: int
) -> None:
    sample = linux.sample(linux_sample(cgroup=cgroup), "a", 1.0)
    assert (sample.memory_total, sample.memory_limit, sample.memory_used) == (limit, limit, used)


@pytest.mark.parametrize("raw", [linux_sample(cgroup=f"{GIB} {GIB} 0"), mac_sample()])
def test_a_budget_wins_over_everything(raw: message.Sample) -> None:
    raw.sources.update(budget="3000000", tree="1000000")
    sample = parse.sample(raw, "a", 1.0)
    assert (sample.memory_total, sample.memory_limit, sample.memory_used) == (3000000, 3000000, 1000000)


@pytest.mark.parametrize(
    ("cpuinfo", "product", "chip"),
    [
        ("model name\t: Synthetic CPU 9000", "Box", "Synthetic CPU 9000"),
        ("CPU implementer\t: 0x41", "Some Board\n", "Some Board"),
        ("CPU implementer\t: 0x41", "", "arm64"),
        ("model name\t: \x1b]0;owned\x07Chip\x1b[31m 1", "", "Chip 1"),
    ],
)
def test_linux_facts_name_the_chip_as_well_as_they_can(cpuinfo: str, product: str, chip: str) -> None:
    event = linux.facts(facts("Linux", cpuinfo=cpuinfo, product=product, nproc="12"), "a", 1.0)
    assert (event.chip, event.cores, event.release, event.budget) == (chip, 12, "6.1.0", False)


def test_mac_facts_carry_the_chip_and_the_macos_version() -> None:
    sysctl = (
        "hw.memsize: 1\nmachdep.cpu.brand_string: Apple M9 Ultra\nhw.ncpu: 24\nkern.osproductversion: 26.1"
    )
    event = macos.facts(facts("Darwin", sysctl=sysctl, budget="1", tree="1"), "a", 1.0)
    assert (event.chip, event.cores, event.release, event.budget) == ("Apple M9 Ultra", 24, "26.1", True)


def test_mac_memory_is_activity_monitors() -> None:
    sample = macos.sample(mac_sample(), "a", 1.0)
    pages = 400000 + 300000 + 100000 + 20000 + 30000 - 50000 - 270000
    assert sample.memory_used == pages * 16384
    assert sample.memory_total == 32 * GIB
    assert sample.memory_limit == 32 * GIB * 2 // 3
    assert (sample.swap_used, sample.load) == (int(1536.5 * 2**20), 2.5)


def test_a_mac_that_writes_commas_says_the_same() -> None:
    there = macos.sample(mac_sample(SYSCTL.replace(".50", ",50")), "a", 1.0)
    assert there == macos.sample(mac_sample(), "a", 1.0)


@pytest.mark.parametrize(
    ("memory", "wired_mb", "limit"),
    [
        (16 * GIB, 0, 16 * GIB * 2 // 3),
        (36 * GIB, 0, 24 * GIB),
        (64 * GIB, 0, 48 * GIB),
        (64 * GIB, 57344, 56 * GIB),
        (8 * GIB, 65536, 8 * GIB),
    ],
)
def test_the_mac_working_set_follows_the_wired_limit_then_the_ram(
    memory: int, wired_mb: int, limit: int
) -> None:
    assert macos.working_set(memory, wired_mb) == limit


def test_a_mac_without_the_optional_keys_still_has_memory() -> None:
    sample = macos.sample(mac_sample("hw.memsize: 34359738368"), "a", 1.0)
    assert (sample.swap_used, sample.load, sample.memory_total) == (None, None, 32 * GIB)


@pytest.mark.parametrize(("wired_mb", "assumed"), [(0, True), (28672, False)])
def test_a_limit_that_nobody_has_set_is_said_to_be_assumed(wired_mb: int, assumed: bool) -> None:
    keys = f"hw.memsize: 34359738368\niogpu.wired_limit_mb: {wired_mb}"
    assert macos.sample(mac_sample(keys), "a", 1.0).assumed is assumed


@pytest.mark.parametrize(
    "raw",
    [
        message.Sample("Linux", 0, {}),
        message.Sample("Linux", 0, {"meminfo": "MemTotal: many kB\nMemAvailable: 1 kB"}),
        message.Sample("Linux", 0, {"meminfo": "MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB"}),
        message.Sample("Linux", 0, {"meminfo": "MemTotal: ٣ kB\nMemAvailable: 1 kB"}),
        linux_sample(budget="-1", tree="1"),
        linux_sample(budget="1"),
        linux_sample(cgroup="1 x 0"),
        message.Sample("Darwin", 0, {}),
        mac_sample(vm_stat=""),
        mac_sample(vm_stat=VM_STAT.replace("Pages active", "Pages idle")),
        message.Sample("Plan 9\x1b[2J", 0, {}),
    ],
)
def test_figures_that_make_no_sense_are_refused_in_one_line(raw: message.Sample) -> None:
    with pytest.raises(ValueError) as caught:
        parse.sample(raw, "a", 1.0)
    assert str(caught.value).isprintable()


def test_every_message_of_the_agent_is_read() -> None:
    def read(**said: Any) -> message.Message:
        return message.read(json.dumps(said).encode())

    assert read(ev="sample", system="Linux", seq=1, sources={}) == message.Sample("Linux", 1, {})
    assert read(ev="listening", ports={"127.0.0.1": 1}, failed={}) == message.Listening({"127.0.0.1": 1})
    assert read(ev="probed", id=1, rtts_us=[1.5], sent=1, lost=0, error=None).rtts_us == [1.5]
    assert read(ev="refused", reason="no") == message.Refused("no")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"welcome to this machine",
        b"\xff\xfe",
        b"[1]",
        b'{"ev":"other"}',
        b'{"ev":"sample","seq":0}',
        b'{"ev":"sample","system":"Linux","seq":-1,"sources":{}}',
        b'{"ev":"sample","system":"Linux","seq":0,"sources":{"a":1}}',
        b'{"ev":"sample","system":"' + b"L" * 300 + b'","seq":0,"sources":{}}',
        b'{"ev":"listening","ports":{"127.0.0.1":99999}}',
        b'{"ev":"probed","id":"a","rtts_us":[1e999],"sent":1,"lost":0}',
        b'{"ev":"probed","id":"a","rtts_us":[-1],"sent":1,"lost":0}',
        b'{"ev":"\\u001b]0;owned\\u0007"}',
        b"[" * 100_000,
        b'{"ev":"sample","more":' + b"[" * 100_000,
        b" " * (message.LIMIT + 1),
    ],
)
def test_anything_else_is_refused_in_one_line(line: bytes) -> None:
    with pytest.raises(ValueError) as caught:
        message.read(line)
    assert str(caught.value).isprintable()

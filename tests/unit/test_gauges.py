"""What the tools for GPU, heat, power, RDMA and traffic print, and what follows: a golden table.

All texts are synthetic: shapes as documented or reported, figures made up.
"""

from __future__ import annotations

import pytest

from core.probe import interfaces, rdma
from core.probe.gauges import Gauges, ioreg, macmon, merged, nvidia
from core.wiring import RdmaPort

ACCELERATOR = '  | |   "PerformanceStatistics" = {"In use system memory (driver)"=0,"Alloc system memory"=9'

GAUGES = {
    "an accelerator": (
        ioreg,
        ACCELERATOR + ',"Device Utilization %"=16,"In use system memory"=2000000000}\n',
        Gauges(gpu=0.16, gpu_memory=2_000_000_000),
    ),
    "two accelerators: the busier one's use, the memory of both": (
        ioreg,
        ACCELERATOR + ',"Device Utilization %"=16,"In use system memory"=2}\n'
        + ACCELERATOR + ',"Device Utilization %"=90,"In use system memory"=3}\n',
        Gauges(gpu=0.9, gpu_memory=5),
    ),
    "macmon": (
        macmon,
        '{"temp":{"cpu_temp_avg":41.5,"gpu_temp_avg":36.5},"gpu_active_ratio":0.25,"sys_power":5.5}',
        Gauges(gpu=0.25, temperature=36.5, power=5.5),
    ),
    "macmon before 0.7, whose zeros are not known": (
        macmon,
        '{"temp":{"cpu_temp_avg":41.5,"gpu_temp_avg":0.0},"gpu_usage":[461,0.5],"sys_power":0.0,"all_power":4}',
        Gauges(gpu=0.5, temperature=41.5, power=4.0),
    ),
    "a card": (
        nvidia,
        "0, 20000, 7, 41, 35.42\n",
        Gauges(gpu=0.07, gpu_memory=20000 * 2**20, temperature=41, power=35.42),
    ),
    "two cards": (
        nvidia,
        "0, 1000, 7, 41, 30\n1, 500, 90, 60, 200\n",
        Gauges(gpu=0.9, gpu_memory=1500 * 2**20, temperature=60, power=230),
    ),
    "a chip that shares the computer's memory": (
        nvidia,
        "0, [N/A], 12, 44, [Not Supported]\n",
        Gauges(gpu=0.12, temperature=44),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GAUGES)
def test_what_a_tool_prints_amounts_to(case: str) -> None:
    parse, text, golden = GAUGES[case]
    assert parse(text) == golden


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (ioreg, ""),
        (macmon, "error: cannot read the SMC"),
        (nvidia, "NVIDIA-SMI has failed because it could not reach the driver.\n"),
    ],
)
def test_a_failure_on_standard_output_is_no_figure(parse: object, text: str) -> None:
    with pytest.raises(ValueError, match="no"):
        parse(text)  # type: ignore[operator]


def test_what_one_tool_does_not_tell_another_may() -> None:
    told = merged(Gauges(temperature=40.0), Gauges(gpu=0.5, temperature=99.0))
    assert told == Gauges(gpu=0.5, temperature=40.0)


DEVICE = "hca_id:\trdma_en{0}\n\ttransport:\t\t\tThunderbolt (100)\n\t\t\tstate:\t\t\tPORT_{1}\n"
RDMA = {
    "a port that is ready": (
        DEVICE.format(2, "ACTIVE (4)") + "\t\t\tGID[  0]:\t\tfe80::1\n\t\t\tGID[  1]:\t\t::ffff:10.213.0.1\n",
        (RdmaPort(name="rdma_en2", active=True, ipv4=True),),
    ),
    "a port without IPv4, and one that is down": (
        DEVICE.format(2, "ACTIVE (4)") + "\t\t\tGID[  0]:\t\tfe80::1\n" + DEVICE.format(3, "DOWN (1)"),
        (RdmaPort(name="rdma_en2", active=True, ipv4=False), RdmaPort(name="rdma_en3", active=False)),
    ),
    "a card of another kind": (
        "hca_id:\tmlx5_0\n\ttransport:\t\t\tInfiniBand (0)\n\t\t\tstate:\t\t\tPORT_ACTIVE (4)\n",
        (RdmaPort(name="mlx5_0", active=True),),
    ),
    "no device": ("", ()),
}


@pytest.mark.parametrize("case", RDMA)
def test_what_ibv_devinfo_prints_amounts_to(case: str) -> None:
    text, golden = RDMA[case]
    assert rdma.ports(text) == golden


def test_traffic_is_counted_by_interface() -> None:
    mac = "Name Mtu Network Address Ipkts Ierrs Ibytes Opkts Oerrs Obytes Coll\n"
    mac += "en0 1500 <Link#4> 02:00:00:00:00:01 1 0 10 2 0 20 0\nen0 1500 192.0.2 192.0.2.1 1 - 10 2 - 20 -\n"
    assert interfaces.mac_counters(mac) == {"en0": (10, 20)}
    linux = "Inter-| Receive\n face |bytes\n  eth0: 395 13 0 0 0 0 0 0 833 8 0 0 0 0 0 0\n"
    assert interfaces.linux_counters(linux) == {"eth0": (395, 833)}

"""What a device's sources said last, and what follows from all of them together."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from core.events import DeviceKept, DeviceSample
from core.probe import interfaces, rdma, thunderbolt
from core.probe.gauges import NOTHING, Gauges, ioreg, macmon, merged, nvidia
from core.probe.message import Read
from core.text import clean_line
from core.wiring import RdmaPort, Wiring

T = TypeVar("T")

FRESH = 10.0
"""Seconds after which a gauge that moves by the second is not worth showing any more."""
UNREAD = "it has not been read yet"
SHARED = "devices of a rehearsal share this computer's"
WIRING = {
    "ifconfig", "hardware_ports", "sysfs_net", "ip_addr", "routes", "thunderbolt", "sysfs_thunderbolt",
    "rdma_ctl", "ibv_devinfo",
}  # fmt: skip
KEEPING = {"power_settings", "auto_login"}

_SETTING = re.compile(r"^ {0,4}(sleep|autorestart) {1,40}(\d{1,6})\b", re.MULTILINE)


class Readings:
    """One device's. `gaps` names what could not be read, and why; nothing here ever raises.

    `system` is `Darwin` or `Linux`. A `shared` device, of a rehearsal, has no hardware of its own.
    """

    def __init__(self, system: str, shared: bool) -> None:
        self.gaps: dict[str, str] = {}
        self._mac = system == "Darwin"
        self._shared = shared
        self._last: dict[str, Read] = {}
        self._heard: dict[str, float] = {}
        self._traffic: dict[str, tuple[float, float]] = {}

    @property
    def raw(self) -> tuple[Read, ...]:
        """What the sources said, as they said it."""
        return tuple(self._last.values())

    def take(self, read: Read, now: float) -> None:
        """Remember what a source said at `now`."""
        if read.name == "counters":
            parse = interfaces.mac_counters if self._mac else interfaces.linux_counters
            before = self._last.get("counters")
            if before is not None and before.text and read.text:
                self._traffic = interfaces.rates(parse(before.text), parse(read.text), read.t - before.t)
        self._last[read.name] = read
        self._heard[read.name] = now

    def wiring(self) -> Wiring:
        """What the sources in `WIRING` amount to."""
        if not self._mac:
            media = self._get("media of interfaces", "sysfs_net", interfaces.sysfs, {})
            services = {keys["device"]: name for name, keys in media.items() if keys.get("device")}
            return Wiring(
                interfaces=self._get("interfaces", "ip_addr", lambda text: interfaces.linux(text, media), ()),
                ports=self._get(
                    "cables", "sysfs_thunderbolt", lambda text: thunderbolt.linux(text, services), ()
                ),
                networks=self._get("routes", "routes", interfaces.linux_networks, ()),
                rdma_ports=self._rdma_ports(),
            )
        names = self._get("names of ports", "hardware_ports", interfaces.hardware_ports, {})
        return Wiring(
            interfaces=self._get("interfaces", "ifconfig", lambda text: interfaces.mac(text, names), ()),
            ports=self._get("cables", "thunderbolt", lambda text: thunderbolt.mac(text, names), ()),
            networks=self._get("routes", "routes", interfaces.mac_networks, ()),
            rdma=self._get("RDMA setting", "rdma_ctl", rdma.enabled, None),
            rdma_ports=self._rdma_ports(),
        )

    def _rdma_ports(self) -> tuple[RdmaPort, ...] | None:
        read = self._last.get("ibv_devinfo")
        # Linux computers without RDMA cards have no such program.
        none = read is not None and (
            "No IB devices" in read.problem if read.code else not self._mac and read.code is None
        )
        if none:
            self.gaps.pop("RDMA ports", None)
            return ()
        return self._get("RDMA ports", "ibv_devinfo", rdma.ports, None)

    def keeping(self, device: str, t: float) -> DeviceKept:
        """The settings that decide whether a Mac stays up."""
        found = dict(_SETTING.findall(self._get("power settings", "power_settings", str, "")))
        login = self._last.get("auto_login")
        logs_in = None
        if login is not None and login.code is not None:
            # `defaults` fails where the setting is not there, which is how it is off.
            logs_in = login.code == 0 and bool((login.text or "").strip())
        return DeviceKept(
            t=t,
            device=device,
            sleeps=int(found["sleep"]) if "sleep" in found else None,
            restarts=found["autorestart"] != "0" if "autorestart" in found else None,
            logs_in=logs_in,
        )

    def gauged(self, sample: DeviceSample) -> DeviceSample:
        """`sample` with what the gauges tell at its time."""
        if self._mac:
            tools = merged(
                self._gauge("temperature and power", "macmon", macmon, sample.t),
                self._gauge("GPU", "ioreg", ioreg, sample.t),
            )
        else:
            tools = self._gauge("GPU, temperature and power", "nvidia_smi", nvidia, sample.t)
        stale = sample.t - self._heard.get("counters", 0.0) > FRESH
        return replace(
            sample,
            gpu=tools.gpu,
            gpu_memory=tools.gpu_memory,
            temperature=tools.temperature,
            power=tools.power,
            traffic={} if stale else self._traffic,
        )

    def _gauge(self, what: str, name: str, parse: Callable[[str], Gauges], t: float) -> Gauges:
        found = self._get(what, name, parse, NOTHING)
        if found is not NOTHING and t - self._heard[name] > FRESH:
            self.gaps[what] = f"{name} has said nothing for {FRESH:.0f} s"
            return NOTHING
        return found

    def _get(self, what: str, name: str, parse: Callable[[str], T], otherwise: T) -> T:
        """What a source says; where it says nothing of use, `otherwise`, and the reason among the gaps."""
        read = self._last.get(name)
        if read is None:
            self.gaps[what] = SHARED if self._shared else UNREAD
            return otherwise
        if read.text is None or read.code:
            self.gaps[what] = clean_line(read.problem) or f"{name} failed ({read.code})"
            return otherwise
        try:
            found = parse(read.text)
        except ValueError as error:
            self.gaps[what] = clean_line(str(error))
            return otherwise
        self.gaps.pop(what, None)
        return found

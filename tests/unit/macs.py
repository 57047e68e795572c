"""Macs that print what Macs print. All of it is synthetic: shapes as documented or reported, ids made up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from core.probe.message import Read
from core.probe.readings import Readings
from core.wiring import Wiring

IP_SERVICE = {"_name": "service_ip", "protocol_id_key": 1}
RDMA_SERVICE = {"_name": "unknown_xd_service", "protocol_id_key": 64087}


@dataclass
class Plug:
    """What is in a port."""

    far: Mac | None
    port: int
    gbps: int
    dock: str = ""


@dataclass
class Mac:
    """One, with Thunderbolt ports 1 to n on the interfaces given, in that order."""

    name: str
    interfaces: tuple[str, ...] = ("en2", "en3", "en4", "en5")
    most: int = 120
    rdma: str = "enabled"
    devices: bool = True
    services: bool = True
    """Whether this macOS prints the protocol ids of its neighbours."""
    addresses: dict[str, str] = field(default_factory=dict)
    bridge: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    """RDMA ports that are down whatever the cable."""
    plugs: dict[int, Plug] = field(default_factory=dict)
    lan: str = "192.0.2.10"

    def domain(self, port: int) -> str:
        return f"0000{ord(self.name[0]):04X}-0000-4000-8000-{port:012X}"

    def thunderbolt(self) -> str:
        return json.dumps(
            {"SPThunderboltDataType": [self._bus(port) for port in self._numbers][::-1]}, indent=2
        )

    @property
    def _numbers(self) -> range:
        return range(1, len(self.interfaces) + 1)

    def _bus(self, port: int) -> dict[str, Any]:
        plug = self.plugs.get(port)
        bus: dict[str, Any] = {
            "_name": f"thunderboltusb4_bus_{port - 1}",
            "device_name_key": "Mac",
            "domain_uuid_key": self.domain(port),
            "receptacle_1_tag": {
                "current_speed_key": f"{plug.gbps} Gb/s" if plug else f"Up to {self.most} Gb/s",
                "link_status_key": "0x2" if plug else "0x100",
                "receptacle_id_key": str(port),
                "receptacle_status_key": f"receptacle_{'connected' if plug else 'no_devices_connected'}",
            },
        }
        if plug is not None:
            bus["_items"] = [self._item(plug)]
        return bus

    def _item(self, plug: Plug) -> dict[str, Any]:
        item: dict[str, Any] = {}
        if plug.far is not None:
            ids = [IP_SERVICE, RDMA_SERVICE] if plug.far.rdma == "enabled" else [IP_SERVICE]
            item = {
                "_name": f"Mac {plug.far.name}",
                "device_name_key": "Mac99,1",
                "domain_uuid_key": plug.far.domain(plug.port).lower(),
                "services_title": ids if self.services else [{"_name": one["_name"]} for one in ids],
            }
        if plug.dock:
            item = {"_name": plug.dock, "mode_key": "thunderbolt_three", "_items": [item] if item else []}
        return item

    def hardware_ports(self) -> str:
        ports = [("Ethernet", "en0"), ("Wi-Fi", "en1"), ("Thunderbolt Bridge", "bridge0")]
        ports += [(f"Thunderbolt {i}", name) for i, name in enumerate(self.interfaces, 1)]
        listed = "".join(f"\nHardware Port: {port}\nDevice: {device}\n" for port, device in ports)
        return f"{listed}\nVLAN Configurations\n===================\n"

    def ifconfig(self) -> str:
        lines = [
            "lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384",
            "\tinet 127.0.0.1 netmask 0xff000000",
            "\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x1 ",
        ]
        on = "8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST>"
        lines += [f"en0: flags={on} mtu 1500", "\tether 02:00:5e:00:53:00"]
        lines += [f"\tinet {self.lan} netmask 0xffffff00 broadcast 192.0.2.255", "\tstatus: active"]
        lines += [f"en1: flags={on} mtu 1500", "\tstatus: inactive"]
        for port, name in enumerate(self.interfaces, 1):
            lines.append(f"{name}: flags={on} mtu 1500")
            if name in self.addresses:
                lines.append(f"\tinet {self.addresses[name]} netmask 0xffff0000 broadcast 169.254.255.255")
            lines.append(f"\tstatus: {'active' if port in self.plugs else 'inactive'}")
        lines += [f"bridge0: flags={on} mtu 1500", "\tConfiguration:"]
        lines += [f"\tmember: {name} flags=3<LEARNING,DISCOVER>" for name in self.bridge]
        lines += ["\tstatus: active", "utun4: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1280"]
        lines += ["\tinet 100.64.0.9 --> 100.64.0.9 netmask 0xffffffff"]
        return "\n".join(lines) + "\n"

    def ibv_devinfo(self) -> str:
        if self.rdma != "enabled" or not self.devices:
            return ""
        text = ""
        for port, name in enumerate(self.interfaces, 1):
            plug = self.plugs.get(port)
            both = (
                plug is not None and plug.far is not None and plug.far.rdma == "enabled" and plug.gbps >= 80
            )
            active = both and name not in self.down
            text += f"hca_id:\trdma_{name}\n\ttransport:\t\t\tThunderbolt (100)\n\t\tport:\t1\n"
            text += f"\t\t\tstate:\t\t\t{'PORT_ACTIVE (4)' if active else 'PORT_DOWN (1)'}\n"
            text += "\t\t\tGID[  0]:\t\tfe80::3400:5eff:fe00:5340\n"
            if name in self.addresses:
                text += f"\t\t\tGID[  1]:\t\t::ffff:{self.addresses[name]}\n"
            text += "\n"
        return text

    def reads(self) -> dict[str, str]:
        return {
            "thunderbolt": self.thunderbolt(),
            "hardware_ports": self.hardware_ports(),
            "ifconfig": self.ifconfig(),
            "ibv_devinfo": self.ibv_devinfo(),
            "rdma_ctl": self.rdma + "\n",
            "routes": "Routing tables\n\nInternet:\ndefault          192.0.2.1\n192.0.2          link#4\n",
        }

    def readings(self, **instead: str | None) -> Readings:
        """What the agent would send; None for a program that is not there."""
        readings = Readings("Darwin", shared=False)
        for name, text in {**self.reads(), **instead}.items():
            readings.take(read(name, text), 1.0)
        return readings

    def wiring(self, **instead: str | None) -> Wiring:
        return self.readings(**instead).wiring()


def read(name: str, text: str | None, system: str = "Darwin", t: float = 1.0) -> Read:
    """A source's words; None is a program that is not there."""
    if text is None:
        return Read(system, name, t, problem=f"there is no {name}")
    return Read(system, name, t, text, 0)


def cable(a: Mac, port_a: int, b: Mac, port_b: int, gbps: int = 80, dock: str = "") -> None:
    """Join two Macs; a dock is seen from `a`'s side only, as it really is."""
    a.plugs[port_a] = Plug(b, port_b, gbps, dock)
    b.plugs[port_b] = Plug(a, port_a, gbps)
    for mac, port in ((a, port_a), (b, port_b)):
        mac.addresses.setdefault(mac.interfaces[port - 1], f"169.254.{ord(mac.name[0])}.{port}")


def mesh(names: str) -> list[Mac]:
    """Each joined to each."""
    macs = [Mac(name) for name in names]
    for i, a in enumerate(macs):
        for j, b in enumerate(macs):
            if i < j:
                cable(a, j, b, i + 1)
    return macs


def ring(names: str) -> list[Mac]:
    """Each joined to the next, the last to the first."""
    macs = [Mac(name) for name in names]
    for a, b in zip(macs, macs[1:] + macs[:1], strict=True):
        cable(a, 2, b, 1)
    return macs

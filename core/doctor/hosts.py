"""What is wrong with one device."""

from __future__ import annotations

from collections.abc import Iterator

from core import addresses
from core.doctor.finding import Command, Finding
from core.state import ClusterState, Device
from core.text import size

RDMA_SINCE = (26, 2)
"""The macOS that RDMA over Thunderbolt came with (Apple TN3205)."""
SWAPPING = 2**30
"""Bytes in swap from which a device is short of memory, not just tidy."""

_TOOLS = {
    "temperature and power": ("macOS tells both only to macmon", "brew install macmon"),
    "RDMA setting": ("rdma_ctl comes with macOS 26.2", ""),
}
"""What a gap can be closed with."""


def findings(state: ClusterState) -> Iterator[Finding]:
    """Of every device, in the order of the state."""
    for device in state.devices.values():
        if device.status != "ready":
            yield _absent(state, device)
            continue
        yield from _memory(device)
        yield from _python(device)
        yield from _rdma(state, device)
        yield from _keeping(device)
        yield from _beside(device)
        yield from _network(state, device)
        yield from _gaps(device)


def _absent(state: ClusterState, device: Device) -> Finding:
    name = device.id
    asked = state.questions.get(name)
    if asked is not None:
        return Finding(
            level="error",
            devices=(name,),
            where=name,
            what="its host key is new",
            why=f"it shows the {asked.algorithm} key {asked.fingerprint}",
            todo="compare with what the device prints, then accept it in the console",
            commands=(Command(name, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"),),
        )
    remote = ()
    if "Remote Login" in device.detail:
        remote = (Command(name, "sudo systemsetup -setremotelogin on"),)
    return Finding(
        level="error",
        devices=(name,),
        where=name,
        what={"connecting": "it has not answered yet"}.get(device.status, f"it is {device.status}"),
        why=device.detail,
        commands=remote,
    )


def _memory(device: Device) -> Iterator[Finding]:
    sample = device.sample
    if sample is None:
        return
    if sample.pressure in ("warning", "critical"):
        yield Finding(
            level="error" if sample.pressure == "critical" else "warning",
            devices=(device.id,),
            where=device.id,
            what=f"its memory pressure is {sample.pressure}",
            todo="quit what is not needed, or give it fewer layers",
        )
    elif (sample.swap_used or 0) >= SWAPPING:
        yield Finding(
            level="warning",
            devices=(device.id,),
            where=device.id,
            what=f"{size(sample.swap_used or 0)} of its memory are in swap",
            why="what has been swapped out comes back only when it is used",
            todo="quit what is not needed, or give it fewer layers",
        )


def _python(device: Device) -> Iterator[Finding]:
    if device.facts is not None and not device.facts.python:
        yield Finding(
            level="error",
            devices=(device.id,),
            where=device.id,
            what="it has no Python: it is sampled, but can run no rank and measure no link",
            why=device.detail,
            todo="install one, with mlx and mlx-lm, and name it with `python` in config.toml",
            commands=(Command(device.id, "uv python install 3.12"),),
        )


def _rdma(state: ClusterState, device: Device) -> Iterator[Finding]:
    wiring, facts = device.wiring, device.facts
    if wiring is None or facts is None or facts.system != "Darwin" or not wiring.ports:
        return
    name = device.id
    if wiring.thunderbolt5 is False:
        # Whatever rdma_ctl says there: Recovery would be a journey for nothing.
        said = ", though rdma_ctl says enabled" if wiring.rdma else ""
        yield Finding(
            level="info",
            devices=(name,),
            where=name,
            what=f"it cannot do RDMA{said}",
            why=f"its ports do {max(p.most_gbps or 0 for p in wiring.ports):g} Gb/s, not Thunderbolt 5's 80",
        )
        return
    if wiring.thunderbolt5 is None:
        return
    cabled = any(cable.b and name in (cable.a.device, cable.b.device) for cable in state.cables)
    if (version := _version(facts.release)) and version < RDMA_SINCE:
        yield Finding(
            level="warning" if cabled else "info",
            devices=(name,),
            where=name,
            what="it cannot do RDMA yet",
            why=f"it runs macOS {facts.release}; RDMA came with 26.2",
            todo="update macOS, to the same version on every Mac",
        )
    elif wiring.rdma is False:
        yield Finding(
            level="warning" if cabled else "info",
            devices=(name,),
            where=name,
            what="RDMA is off",
            why="it is switched on in macOS Recovery only, at the Mac itself",
            todo="shut down, hold the power button until options show, choose Options, then in Terminal:",
            commands=(Command(name, "rdma_ctl enable"),),
        )
    elif wiring.rdma and wiring.rdma_ports == ():
        yield Finding(
            level="warning",
            devices=(name,),
            where=name,
            what="RDMA is enabled, but ibv_devinfo lists no device",
            todo="restart it",
            commands=(Command(name, "sudo shutdown -r now"),),
        )


def _version(release: str) -> tuple[int, int] | None:
    parts = release.split(".")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        return None
    return int(parts[0][:4]), int(parts[1][:4])


def _beside(device: Device) -> Iterator[Finding]:
    if device.exo:
        yield Finding(
            level="info",
            devices=(device.id,),
            where=device.id,
            what="exo runs there too",
            why=f"its node {device.exo} answers there; what it has loaded is memory no plan can have",
            todo="end one of the two while the other has a model",
        )


def _keeping(device: Device) -> Iterator[Finding]:
    kept, name = device.kept, device.id
    if kept is None:
        return
    if kept.sleeps:
        yield Finding(
            level="warning",
            devices=(name,),
            where=name,
            what=f"it goes to sleep after {kept.sleeps} min",
            commands=(Command(name, "sudo pmset -a sleep 0"),),
        )
    if kept.restarts is False:
        yield Finding(
            level="info",
            devices=(name,),
            where=name,
            what="it stays off after a power failure",
            commands=(Command(name, "sudo pmset -a autorestart 1"),),
        )
    if kept.logs_in is False:
        yield Finding(
            level="info",
            devices=(name,),
            where=name,
            what="nobody is logged in after a restart",
            todo="System Settings → Users & Groups → Automatically log in as",
        )


def _network(state: ClusterState, device: Device) -> Iterator[Finding]:
    wiring, name = device.wiring, device.id
    if wiring is None:
        return
    for a, b, network in addresses.clashes(wiring):
        yield Finding(
            level="warning",
            devices=(name,),
            where=name,
            what=f"{a.name} and {b.name} are both in {network}",
            why="what is meant for one network leaves by the other",
            todo="give one of them addresses of another network",
        )
    for bridge in {one.bridge for one in wiring.interfaces if one.bridge and one.kind == "thunderbolt"}:
        members = [o for o in wiring.interfaces if o.bridge == bridge and o.up and o.kind == "thunderbolt"]
        if len(members) > 1:
            ports = " and ".join(member.label or member.name for member in members)
            yield Finding(
                level="warning",
                devices=(name,),
                where=name,
                what=f"{ports} are bridged",
                why="cables that close a ring make packets circle in it for ever; the bridge has no STP",
                commands=tuple(Command(name, f"sudo ifconfig {bridge} deletem {m.name}") for m in members),
            )


def _gaps(device: Device) -> Iterator[Finding]:
    """What is not known of it, for the same reason at once."""
    lacking: dict[str, list[str]] = {}
    for what, reason in device.gaps.items():
        lacking.setdefault(reason, []).append(what)
    for reason, gaps in lacking.items():
        why, command = _TOOLS.get(gaps[0], ("", "")) if reason.startswith("there is no") else ("", "")
        yield Finding(
            level="unknown",
            devices=(device.id,),
            where=device.id,
            what=f"not known: {', '.join(gaps)}",
            why="; ".join(filter(None, (reason, why))),
            commands=(Command(device.id, command),) if command else (),
        )

# pyright: basic
"""MLX's group over RDMA. Written from MLX's documents and sources; untested on hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import mlx.core as mx


def environment(rank: int, coordinator: str, ring: bool) -> dict[str, str]:
    """What JACCL reads besides MLX_IBV_DEVICES. `coordinator`: address and port where its rank 0 listens."""
    env = {"MLX_RANK": str(rank), "MLX_JACCL_COORDINATOR": coordinator}
    return env | {"MLX_JACCL_RING": "1"} if ring else env


def meet(rank: int, coordinator: tuple[str, int], devices: list[Any], ring: bool) -> mx.distributed.Group:
    """Blocks until all stand. `devices`: by rank, the RDMA devices towards each. Raises RuntimeError."""
    from .ring import init

    address, port = coordinator
    return init("jaccl", {"MLX_IBV_DEVICES": devices}, environment(rank, f"{address}:{port}", ring))

"""GPUs from two sources made one: the driver's view (NVML) and that of ComfyUI's own torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .readings import GpuReading

TorchMemory = Callable[[], Sequence[GpuReading]]
"""What a host supplies: every card that torch sees, in ComfyUI's order, with what could be freed of each."""

SAME_SIZE = 0.05
"""Share by which the two may differ on the size of one card: the driver counts what it keeps for itself."""


def merged(nvml: Iterable[GpuReading], torch: Iterable[GpuReading] | None) -> tuple[GpuReading, ...]:
    """Return one reading a card.

    The driver knows what all processes use; torch knows the order, and what its own process could free. So
    with torch, its list stands, and each card takes the driver's figures where the two name one card: the
    same UUID, or, where torch tells none, the same place in the list and about the same size. Without torch (None:
    there is none, or it has told nothing) the driver's list stands; where torch has no card, none of it is in use here.
    """
    by_driver = tuple(nvml)
    if torch is None:
        return by_driver
    by_torch = tuple(torch)
    if not by_torch:
        return tuple(told._replace(in_use=False) for told in by_driver)
    return tuple(_one(card, by_driver) for card in by_torch)


def _one(card: GpuReading, by_driver: Sequence[GpuReading]) -> GpuReading:
    for told in by_driver:
        if _same(card, told):
            if not told.total:  # a card that shares the machine's memory: of that the driver says nothing
                return card._replace(
                    utilization=told.utilization,
                    temperature=told.temperature,
                    power=told.power,
                    throttled=told.throttled,
                )
            return told._replace(
                index=card.index,
                name=card.name,
                freeable=card.freeable,
                evictable=card.evictable,
                in_use=card.in_use,
            )
    return card


def _same(card: GpuReading, told: GpuReading) -> bool:
    if card.uuid and told.uuid:
        return _bare(card.uuid) == _bare(told.uuid)
    return card.index == told.index and abs(card.total - told.total) <= SAME_SIZE * told.total


def _bare(uuid: str) -> str:
    """torch leaves the driver's `GPU-` out."""
    return uuid.lower().removeprefix("gpu-")

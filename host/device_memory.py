"""What torch tells of the memory of the cards: CUDA and ROCm, XPU, MPS. Looks only, and takes no card into use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from ..monitor.readings import GpuReading

log = logging.getLogger(__name__)

SAME_MEMORY = 0.1
"""Share by which the size of an integrated card may differ from the machine's RAM and still be that RAM: CUDA leaves
out what firmware and driver keep (1.5 % on a DGX Spark)."""


class DeviceMemory:
    """Any thread.

    Args:
        torch: the torch module that ComfyUI loaded.
        pages: bytes on each card that give way by themselves, by index.
        machine: the machine's memory, with `total` and `available`.
    """

    def __init__(
        self, torch: Any, pages: Callable[[], Mapping[int, int]], machine: Callable[[], Any] = psutil.virtual_memory
    ) -> None:
        self._torch = torch
        self._pages = pages
        self._machine = machine
        self._told: set[str] = set()

    def readings(self) -> list[GpuReading]:
        """Every card that torch shows. One that tells nothing is left out, and said so once: the others still count."""
        found = []
        pages = self._pages()
        for kind in ("cuda", "xpu"):
            api = getattr(self._torch, kind, None)
            if api is None or not api.is_initialized() or not api.is_available():
                continue
            for i in range(api.device_count()):
                try:
                    found.append(self._one(kind, api, i, pages.get(i, 0)))
                except (RuntimeError, AttributeError) as error:  # a card that is lost; a torch that has no such call
                    if f"{kind} {i}" not in self._told:
                        self._told.add(f"{kind} {i}")
                        log.warning("card %s %d does not tell of its memory and is left out (%s)", kind, i, error)
        return found or self._of_a_mac()

    def _one(self, kind: str, api: Any, i: int, evictable: int) -> GpuReading:
        properties = api.get_device_properties(i)
        reserved = int(api.memory_reserved(i))
        in_use = kind != "cuda" or self._has_context(i, reserved)
        used, total = self._used(api, i, properties, reserved) if in_use else (0, int(properties.total_memory))
        uuid = getattr(properties, "uuid", None)
        return GpuReading(
            i,
            api.get_device_name(i),
            used,
            total,
            "torch",
            freeable=reserved + evictable,
            evictable=evictable,
            uuid=None if uuid is None else str(uuid),
            in_use=in_use,
        )

    def _has_context(self, i: int, reserved: int) -> bool:
        """Whether this process uses the card already: to ask CUDA for the free memory of one that it does not use
        makes a context there, which takes some 500 MB of that card until the process ends."""
        ask = getattr(getattr(self._torch, "_C", None), "_cuda_hasPrimaryContext", None)
        return reserved > 0 if ask is None else bool(ask(i))

    def _used(self, api: Any, i: int, properties: Any, reserved: int) -> tuple[int, int]:
        try:
            free, total = (int(told) for told in api.mem_get_info(i))
        except (RuntimeError, AttributeError):
            # Many Intel cards do not tell what is free. ComfyUI reckons with torch's own share there, and so do we.
            return reserved, int(properties.total_memory)
        if getattr(properties, "is_integrated", 0):
            machine = self._machine()
            if abs(machine.total - total) <= SAME_MEMORY * machine.total:
                # One memory for both: CUDA counts page cache as used there, which the kernel drops for whoever asks.
                free = min(total, max(free, int(machine.available)))
        return total - free, total

    def _of_a_mac(self) -> list[GpuReading]:
        mps = getattr(self._torch, "mps", None)
        limit = getattr(mps, "recommended_max_memory", None)  # torch 2.5 and newer
        if mps is None or limit is None or not self._torch.backends.mps.is_available():
            return []
        return [GpuReading(0, "Apple GPU", int(mps.driver_allocated_memory()), int(limit()), "torch")]

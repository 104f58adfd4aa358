"""What a program holds that can be given back: measured before and after each rung, and by the nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..monitor.readings import GpuReading
from .host import CachedOutput, Use


class Holder(Protocol):
    """What a host tells of its memory."""

    def gpu_memory(self) -> list[GpuReading]:
        """Device memory as the program itself sees it."""
        ...

    def outputs(self) -> Sequence[CachedOutput]:
        """Cached outputs of nodes."""
        ...


class Held:
    """Bytes, each time asked anew.

    Args:
        anonymous: RAM of the process that no file backs.
    """

    def __init__(self, host: Holder, anonymous: Callable[[], int]) -> None:
        self._host = host
        self.ram = anonymous

    def of(self, resource: str) -> int:
        """`ram`, or `vram0` and so on; 0 for what nothing can be given back of."""
        if resource == "ram":
            return self.ram()
        if resource.startswith("vram"):
            return next((g.used for g in self._host.gpu_memory() if resource == f"vram{g.index}"), 0)
        return 0

    def vram(self) -> int:
        """On all GPUs together."""
        return sum(g.used for g in self._host.gpu_memory())

    def gpu_names(self) -> list[str]:
        """As their drivers call them."""
        return [g.name for g in self._host.gpu_memory()]

    def outputs_done(self) -> int:
        """Of outputs that no node will ask for any more, models left out."""
        return sum(o.ram for o in self._host.outputs() if o.use is Use.DONE and not o.models)

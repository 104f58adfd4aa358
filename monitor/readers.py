"""Everything the sampler reads, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from .aside import Aside
from .readings import (
    CpuReading,
    DiskReading,
    GpuReading,
    MemoryReading,
    PressureReading,
    ProcessReading,
    TempReading,
)


class RamSource(Protocol):
    """What `RamReader` offers the sampler; any thread."""

    hand_limit: int

    def read(self) -> MemoryReading:
        """Look now."""
        ...


class ProcessSource(Protocol):
    """What `ProcessReader` offers the sampler; any thread."""

    def read(self) -> ProcessReading:
        """Look now."""
        ...


class Readers(NamedTuple):
    """The first four are quick, and are called on the sampler's own thread; the others run aside."""

    ram: RamSource
    process: ProcessSource | None = None
    cpu: Callable[[], CpuReading | None] | None = None
    pressure: Callable[[], PressureReading] | None = None
    nvml: Aside[tuple[GpuReading, ...]] | None = None
    torch: Aside[Sequence[GpuReading]] | None = None
    disks: Aside[tuple[DiskReading, ...]] | None = None
    temp: Aside[TempReading] | None = None

    def quick(self) -> dict[str, Callable[[], Any]]:
        """List the quick ones' methods, by name."""
        each = {
            "ram": self.ram.read,
            "process": self.process.read if self.process else None,
            "cpu": self.cpu,
            "pressure": self.pressure,
        }
        return {name: read for name, read in each.items() if read is not None}

    def asides(self) -> dict[str, Aside[Any]]:
        """List those with a thread of their own, by name."""
        each = {"nvml": self.nvml, "torch": self.torch, "disks": self.disks, "temp": self.temp}
        return {name: aside for name, aside in each.items() if aside is not None}

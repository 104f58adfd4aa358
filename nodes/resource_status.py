"""The node *Resource Status*: what the monitor reads, as numbers and a text for other nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..monitor.readings import Level, MemoryReading, Sample
from ..reclaim.action import human
from .spec import NodeContext, Output, PassNode

GIB = 1024**3


class Readings(Protocol):
    """Where the node looks."""

    def ram(self) -> MemoryReading:
        """RAM, fresh."""
        ...

    def sample(self) -> Sample | None:
        """The last full sample."""
        ...


def describe(run: Callable[..., tuple[Any, ...]]) -> PassNode:
    """The node as ComfyUI shows it; `run` is what it does."""
    return PassNode(
        "ResourceGateStatus",
        "Resource Status",
        "Reports RAM, VRAM and disk as they are when the workflow gets here, and passes its input through.",
        (),
        run,
        (
            Output("text", "string"),
            Output("level", "string"),
            Output("ram_percent", "float"),
            Output("ram_free_gb", "float"),
            Output("vram_percent", "float"),
            Output("vram_free_gb", "float"),
            Output("disk_free_gb", "float"),
        ),
    )


def nothing_known() -> tuple[Any, ...]:
    """The outputs where there is no monitor."""
    return ("Resource Gate is off", Level.NORMAL.label, 0.0, 0.0, 0.0, 0.0, 0.0)


class ResourceStatusNode:
    """What the node does. VRAM is that of the fullest GPU, disk that of the tightest; 0 where there is none."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    @property
    def spec(self) -> PassNode:
        """The node's description, bound to this object."""
        return describe(self.run)

    def run(self, context: NodeContext) -> tuple[Any, ...]:
        """Look, show it on the node, and return the outputs in the order of `describe`."""
        context.run_again()
        context.check_interrupt()
        ram, sample = self._readings.ram(), self._readings.sample()
        parts = [f"RAM {ram.fraction:.0%} of {human(ram.limit)}"]
        vram_percent = vram_free = disk_free = 0.0
        if sample and sample.gpus:
            gpu = max(sample.gpus, key=lambda g: (g.in_use, g.fraction))
            vram_percent, vram_free = gpu.fraction * 100, (gpu.total - gpu.working_set) / GIB
            parts.append(f"VRAM {gpu.index} {gpu.fraction:.0%} of {human(gpu.total)}")
        if sample and sample.disks:
            disk = min(sample.disks, key=lambda d: d.free)
            disk_free = disk.free / GIB
            parts.append(f"disk {human(disk.free)} free")
        level = sample.level.label if sample else Level.NORMAL.label
        text = ", ".join([*parts, level])
        context.show(text)
        return (text, level, ram.fraction * 100, ram.free / GIB, vram_percent, vram_free, disk_free)

"""The level of every resource in a sample, by name."""

from __future__ import annotations

from collections.abc import Iterable

from ..settings import Settings, Tiers
from .level import Hysteresis
from .readings import CpuReading, DiskReading, GpuReading, Level, MemoryReading


def vram_name(gpu: GpuReading) -> str:
    """Return the resource name of a card's memory: `vram0` …"""
    return f"vram{gpu.index}"


def disk_name(disk: DiskReading) -> str:
    """Return the resource name of a disk, after the first thing that lies on it: `disk_output` …"""
    return f"disk_{disk.roles[0]}"


class Levels:
    """Hysteresis of each resource that was ever seen. One caller at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._by_name: dict[str, Hysteresis] = {}

    def apply(self, settings: Settings) -> None:
        """Go by these tiers from the next reading on."""
        self._settings = settings

    def ram_after(self, ram: MemoryReading) -> Level:
        """Return the level that this reading of RAM would lead to, and remember nothing."""
        return self._of("ram", self._settings.ram).after(ram.used, ram.limit)

    def update(
        self,
        ram: MemoryReading | None,
        cpu: CpuReading | None,
        gpus: Iterable[GpuReading],
        disks: Iterable[DiskReading],
    ) -> dict[str, Level]:
        """Take in one sample's readings; return levels by name. What has no reading now has no level."""
        settings = self._settings
        levels: dict[str, Level] = {}
        if ram is not None:
            levels["ram"] = self._of("ram", settings.ram).update(ram.used, ram.limit)
        if cpu is not None:
            levels["cpu"] = self._of("cpu", settings.cpu).update(cpu.fraction * cpu.cores, cpu.cores)
        for gpu in gpus:
            name = vram_name(gpu)
            used = gpu.working_set if gpu.in_use else 0  # what others have filled, nothing of ours makes room on
            levels[name] = self._of(name, settings.vram).update(used, gpu.total)
        for disk in disks:
            name = disk_name(disk)
            # What root alone may still write (ext4 keeps 5 %) counts as used.
            levels[name] = self._of(name, settings.disk).update(disk.total - disk.free, disk.total)
        return levels

    def _of(self, name: str, tiers: Tiers) -> Hysteresis:
        one = self._by_name.setdefault(name, Hysteresis(tiers))
        one.tiers = tiers
        return one

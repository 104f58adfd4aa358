"""What the machine has: system, Python, memory and its limits, page file, disks, driver. It changes nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psutil

from ..monitor.machine import machine_source
from ..monitor.ram import RamReader
from ..monitor.readings import MemoryReading

LIBRARIES = ("torch", "psutil", "pydantic", "aiohttp", "nvidia-ml-py", "pynvml", "numpy", "av")
"""Distributions whose versions explain most reports; `pynvml` is the name of an old rival of nvidia-ml-py."""


class Nvml(Protocol):
    """The calls of `pynvml` that are made."""

    def nvmlInit(self) -> object:  # noqa: N802 - NVIDIA's names
        """Start."""
        ...

    def nvmlSystemGetDriverVersion(self) -> str | bytes:  # noqa: N802
        """The driver's version."""
        ...


def machine_report(
    places: Mapping[str, Path],
    *,
    ram: Callable[[], MemoryReading] | None = None,
    host: Callable[[], tuple[MemoryReading, ...]] | None = None,
    swap: Callable[[], Any] = psutil.swap_memory,
    driver: Callable[[], str] | None = None,
    proc: Path = Path("/proc"),
) -> dict[str, Any]:
    """Look at all of it, in bytes. What cannot be read is None, or a text that says why.

    Args:
        places: role → folder, for the disks.
        ram: the limit that kills first; None for this machine's.
        host: what the whole machine allows; None for this machine's.
        driver: NVIDIA's driver version; None to ask NVML.
        proc: `/proc`, or a tree made like it.
    """
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "libraries": _versions(),
        "ram": _told(ram or RamReader().read, _memory),
        "host_memory": _told(host or machine_source(), lambda found: [_memory(m) for m in found]),
        "swap": _told(swap, lambda s: {"total": int(s.total), "free": int(s.free)}),
        "overcommit": _overcommit(proc),
        "disks": {role: _told(partial(_disk_usage, place), _disk) for role, place in places.items()},
        "driver": _told(driver or driver_version, str),
    }


def driver_version(load: Callable[[], Nvml] | None = None) -> str:
    """NVIDIA's driver version, or why there is none to tell."""
    try:
        if load is None:
            import pynvml as nvml
        else:
            nvml = load()
    except ImportError:
        return "unknown: nvidia-ml-py is not installed"
    try:
        nvml.nvmlInit()
        version = nvml.nvmlSystemGetDriverVersion()
    except Exception as error:  # noqa: BLE001 - a driver's own errors, of classes that differ by version
        return f"none: {error}"
    return version.decode("utf-8", "replace") if isinstance(version, bytes) else str(version)


def _told(ask: Callable[[], Any], shape: Callable[[Any], Any]) -> Any:
    try:
        return shape(ask())
    except (OSError, ValueError, RuntimeError, psutil.Error) as error:
        return f"cannot be read: {error}"


def _memory(reading: MemoryReading) -> dict[str, Any]:
    return {"used": reading.used, "limit": reading.limit, "source": reading.source}


def _disk(usage: Any) -> dict[str, int]:
    return {"free": int(usage.free), "total": int(usage.total)}


def _disk_usage(place: Path) -> Any:
    """Of the folder, or of the nearest above it that is there already."""
    return shutil.disk_usage(next((p for p in (place, *place.parents) if p.exists()), place))


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    # A torch that was built by hand has no distribution.
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = str(getattr(torch, "__version__", "unknown"))
    return found


def _overcommit(proc: Path) -> int | None:
    """Linux' `vm.overcommit_memory`; None elsewhere. 2 means that allocations fail before memory is full."""
    try:
        return int((proc / "sys/vm/overcommit_memory").read_text("ascii"))
    except (OSError, ValueError):
        return None

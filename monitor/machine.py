"""The machine's own memory, by system: Linux's /proc/meminfo, Windows' commit charge, psutil elsewhere."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from .kept import KeptFile, number_after
from .readings import MemoryReading

MachineSource = Callable[[], tuple[MemoryReading, ...]]


def machine_source(platform: str = sys.platform, proc: Path = Path("/proc")) -> MachineSource:
    """Choose where this system tells of its memory.

    Args:
        platform: as `sys.platform`.
        proc: `/proc`, for Linux.

    Returns:
        A callable, cheap and for any thread, that lists the limits the whole machine sets.
    """
    if platform.startswith("linux"):
        return LinuxMemory(proc)
    return WindowsMemory() if platform == "win32" else portable_memory


class LinuxMemory:
    """`MemTotal` as the limit, `MemTotal − MemAvailable` as used: what is left once page cache is dropped."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._meminfo = KeptFile(proc / "meminfo")

    def __call__(self) -> tuple[MemoryReading, ...]:
        """Return the one reading.

        Raises:
            OSError: /proc is gone; ValueError: the file is not as it should be.
        """
        data = self._meminfo.read()
        total = number_after(data, b"MemTotal:")
        free = number_after(data, b"MemAvailable:")
        if free is None:  # kernels before 3.14
            parts = [number_after(data, k) for k in (b"MemFree:", b"\nBuffers:", b"\nCached:")]
            free = sum(p or 0 for p in parts)
        if total is None:
            raise ValueError("MemTotal is missing in /proc/meminfo")
        return (MemoryReading((total - free) * 1024, total * 1024, "host"),)


def portable_memory(virtual: Callable[[], Any] = psutil.virtual_memory) -> tuple[MemoryReading, ...]:
    """Return what psutil says, `total − available` as used; on a Mac that memory is the GPU's, too."""
    memory = virtual()
    return (MemoryReading(int(memory.total - memory.available), int(memory.total), "host"),)


class Performance(NamedTuple):
    """What Windows' GetPerformanceInfo tells, in pages, and the bytes of a page."""

    commit_total: int
    commit_limit: int
    page: int


class WindowsMemory:
    """Physical memory and commit charge: an allocation fails (error 1455) when the commit limit is reached.

    That may be long before or after physical memory is full, so both are told and the tighter one counts.
    """

    def __init__(
        self,
        virtual: Callable[[], Any] = psutil.virtual_memory,
        performance: Callable[[], Performance] | None = None,
    ) -> None:
        self._virtual = virtual
        self._performance = performance or performance_info

    def __call__(self) -> tuple[MemoryReading, ...]:
        """Return physical memory first, then commit.

        Raises:
            OSError: Windows refused to tell.
        """
        info = self._performance()
        commit = MemoryReading(info.commit_total * info.page, info.commit_limit * info.page, "commit")
        return (*portable_memory(self._virtual), commit)


class _PerformanceInformation(ctypes.Structure):
    """PERFORMANCE_INFORMATION of psapi.h."""

    _fields_ = (
        ("cb", ctypes.c_uint32),
        *(
            (name, ctypes.c_size_t)
            for name in (
                *("CommitTotal", "CommitLimit", "CommitPeak", "PhysicalTotal", "PhysicalAvailable"),
                *("SystemCache", "KernelTotal", "KernelPaged", "KernelNonpaged", "PageSize"),
            )
        ),
        *((name, ctypes.c_uint32) for name in ("HandleCount", "ProcessCount", "ThreadCount")),
    )


def performance_info(library: Any = None) -> Performance:
    """Call GetPerformanceInfo.

    Args:
        library: what has `K32GetPerformanceInfo`; None for Windows' own kernel32.

    Raises:
        OSError: the call failed.
    """
    if library is None:
        library = getattr(ctypes, "windll").kernel32  # noqa: B009 - the name exists on Windows only
    info = _PerformanceInformation()
    info.cb = ctypes.sizeof(info)
    if not library.K32GetPerformanceInfo(ctypes.byref(info), info.cb):
        raise OSError("GetPerformanceInfo failed")
    return Performance(info.CommitTotal, info.CommitLimit, info.PageSize)

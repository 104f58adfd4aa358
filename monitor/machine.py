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
    """`MemTotal` as the limit, `MemTotal − MemAvailable` as used: what is left once page cache is dropped.

    The kernel does not know ZFS's cache for one (openzfs/zfs#10255); it gives way as page cache does, down to its
    least size, and is taken off as htop does it.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._meminfo = KeptFile(proc / "meminfo")
        self._zfs = _zfs_cache(proc)

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
        used = (total - free) * 1024
        if self._zfs is not None:
            used = max(0, used - _gives_way(self._zfs.read()))
        return (MemoryReading(used, total * 1024, "host"),)


def _zfs_cache(proc: Path) -> KeptFile | None:
    """What tells of ZFS's cache; None without ZFS, and where lxcfs shows a container its own `/proc/meminfo`: that
    counts none of the host's cache."""
    try:
        cache = KeptFile(proc / "spl/kstat/zfs/arcstats")
    except OSError:
        return None
    try:
        table = (proc / "self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    return None if any(line.split(" ")[4:5] == ["/proc/meminfo"] for line in table.splitlines()) else cache


def _gives_way(arcstats: bytes) -> int:
    """Bytes of the cache above its least size; 0 where it tells in another way. Lines are `name  type  data`."""
    told = {
        line.split(None, 1)[0]: line.split() for line in arcstats.splitlines() if line.startswith((b"size ", b"c_min "))
    }
    try:
        return max(0, int(told[b"size"][2]) - int(told[b"c_min"][2]))
    except (LookupError, ValueError):
        return 0


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

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from resource_gate.monitor.machine import (
    LinuxMemory,
    Performance,
    WindowsMemory,
    machine_source,
    performance_info,
    portable_memory,
)
from resource_gate.monitor.ram import RamReader
from resource_gate.monitor.readings import MemoryReading

GIB = 1024**3
PAGE = 4096


def physical(total, available):
    return lambda: SimpleNamespace(total=total, available=available)


def commit(used, limit):
    return lambda: Performance(used // PAGE, limit // PAGE, PAGE)


def test_windows_short_of_commit_tells_the_commit_limit(tmp_path):
    source = WindowsMemory(physical(32 * GIB, 12 * GIB), commit(35 * GIB, 36 * GIB))
    reading = RamReader(tmp_path, None, machine=source).read()
    assert reading == MemoryReading(35 * GIB, 36 * GIB, "commit")


def test_windows_short_of_memory_but_not_of_commit_tells_physical_memory(tmp_path):
    source = WindowsMemory(physical(32 * GIB, 1 * GIB), commit(40 * GIB, 96 * GIB))
    assert RamReader(tmp_path, None, machine=source).read() == MemoryReading(31 * GIB, 32 * GIB, "host")


class Kernel32:
    """Fills the structure as Windows does; the size tells whether ours has its layout (64 bits: 104 bytes)."""

    def __init__(self, works: bool = True) -> None:
        self.works = works
        self.size = 0

    def K32GetPerformanceInfo(self, reference, size):  # noqa: N802 - Windows' name
        self.size = size
        if not self.works:
            return 0
        info = ctypes.cast(reference, ctypes.POINTER(ctypes.c_size_t))
        info[1], info[2], info[10] = 9000, 10000, PAGE  # CommitTotal, CommitLimit, PageSize
        return 1


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the layout of 64-bit Windows")
def test_the_structure_of_get_performance_info_has_windows_layout():
    kernel = Kernel32()
    assert performance_info(kernel) == Performance(9000, 10000, PAGE)
    assert kernel.size == 104


def test_a_refusal_of_windows_is_an_error():
    with pytest.raises(OSError, match="GetPerformanceInfo"):
        performance_info(Kernel32(works=False))


def test_a_mac_tells_its_unified_memory():
    [reading] = portable_memory(physical(16 * GIB, 5 * GIB))
    assert reading == MemoryReading(11 * GIB, 16 * GIB, "host")


def test_each_system_has_its_own_source(bare_host):
    assert isinstance(machine_source("linux", bare_host.proc), LinuxMemory)
    assert isinstance(machine_source("win32"), WindowsMemory)
    assert machine_source("darwin") is portable_memory

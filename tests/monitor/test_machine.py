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


ARCSTATS = """9 1 0x01 147 39984 1405644657 619562335795635
name                            type data
hits                            4    138399132
mru_size                        4    999
c                               4    52000000000
c_min                           4    {least}
c_max                           4    60000000000
size                            4    {size}
compressed_size                 4    1
"""


def with_zfs(tree, size, least=2 * GIB):
    folder = tree.proc / "spl/kstat/zfs"
    folder.mkdir(parents=True)
    (folder / "arcstats").write_text(ARCSTATS.format(size=size, least=least))
    return tree


def test_what_zfs_caches_is_not_in_use_though_the_kernel_does_not_count_it_as_available(bare_host):
    """OpenZFS 2.3 fills all but a little of RAM by default, and gives it back to whoever asks."""
    reader = with_zfs(bare_host.memory(64 * GIB, 3 * GIB), size=42 * GIB).reader()
    assert reader.read() == MemoryReading(21 * GIB, 64 * GIB, "host")  # 2 GiB of it stay


def test_what_zfs_keeps_at_least_is_in_use(bare_host):
    assert with_zfs(bare_host, size=1 * GIB).reader().read().used == 24 * GIB


def test_where_a_container_is_shown_its_own_memory_the_hosts_zfs_is_none_of_it(bare_host):
    """LXC: lxcfs lays a file over /proc/meminfo, and the host's caches are seen all the same."""
    bare_host.mounts("611 600 0:51 /proc/meminfo /proc/meminfo rw,nosuid - fuse.lxcfs lxcfs rw,user_id=0")
    assert with_zfs(bare_host, size=40 * GIB).reader().read().used == 24 * GIB


@pytest.mark.parametrize("text", ["", "size\n", "name type data\nsize 4 many\nc_min 4 1\n", "\nsize 4 99\n"])
def test_a_zfs_that_tells_otherwise_changes_nothing(bare_host, text):
    with_zfs(bare_host, size=1)
    (bare_host.proc / "spl/kstat/zfs/arcstats").write_text(text)
    assert bare_host.reader().read().used == 24 * GIB

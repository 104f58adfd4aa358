from __future__ import annotations

import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from resource_gate.monitor.heap import heap_slack, heap_use

MIB = 1024**2


def test_slack_is_what_the_heap_has_not_handed_out():
    assert heap_slack(2500 * MIB, lambda: 100 * MIB) == 2400 * MIB


def test_slack_is_never_below_zero():
    assert heap_slack(5, lambda: 10) == 0


def test_psutil_counts_heap_and_own_mappings():
    module = SimpleNamespace(heap_info=lambda: SimpleNamespace(heap_used=30, mmap_used=12))
    use = heap_use(module)
    assert use is not None
    assert use() == 42


def test_without_psutils_call_and_without_mallinfo2_nothing_can_tell():
    assert heap_use(SimpleNamespace(), lambda: SimpleNamespace()) is None


@pytest.mark.parametrize("error", [OSError("no library"), TypeError("a name is needed")])
def test_a_system_whose_c_library_cannot_be_opened_cannot_tell(error):
    def load():
        raise error

    assert heap_use(SimpleNamespace(), load) is None


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_glibc_and_psutil_agree_where_both_can_tell():
    glibc = heap_use(SimpleNamespace())
    if glibc is None:
        pytest.skip("glibc before 2.33")
    both = heap_use()
    assert both is not None
    assert abs(glibc() - both()) < MIB


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_blocks_that_were_freed_and_not_returned_show_as_slack():
    """In a process of its own, with the dynamic threshold fixed so that the blocks lie on the heap."""
    code = (
        "import ctypes\n"
        "from resource_gate.monitor.process import ProcessReader\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]\n"
        "libc.free.argtypes = [ctypes.c_void_p]\n"
        "reader = ProcessReader()\n"
        "blocks = [libc.malloc(65536) for _ in range(1600)]\n"
        "for b in blocks: ctypes.memset(b, 1, 65536)\n"
        "before = reader.read().heap_slack\n"
        "for b in blocks[:-1]: libc.free(b)\n"
        "print(reader.read().heap_slack - before)\n"
    )
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "1073741824"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 95 * MIB

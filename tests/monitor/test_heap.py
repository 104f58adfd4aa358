from __future__ import annotations

import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from resource_gate.monitor.heap import (
    PATIENCE,
    REST,
    FreeInHeap,
    HeapState,
    SparingHeapSlack,
    glibc_heap,
    heap_slack,
    heap_use,
)

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
        "from resource_gate.monitor.heap import heap_slack\n"
        "from resource_gate.monitor.process import ProcessReader\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]\n"
        "libc.free.argtypes = [ctypes.c_void_p]\n"
        "reader = ProcessReader()\n"
        "blocks = [libc.malloc(65536) for _ in range(1600)]\n"
        "for b in blocks: ctypes.memset(b, 1, 65536)\n"
        "before = heap_slack(reader.anonymous_rss())\n"
        "for b in blocks[:-1]: libc.free(b)\n"
        "print(heap_slack(reader.anonymous_rss()) - before)\n"
    )
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "1073741824"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 95 * MIB


class Process:
    """Anonymous bytes in MiB: handed out by the heap, free in it and resident, given back, mapped by others."""

    def __init__(self, handed_out=300, free=0, others=150):
        self.handed_out, self.free, self.given_back, self.others = handed_out, free, 0, others
        self.now = self.looks = self.takes = 0

    @property
    def anonymous(self):
        return (self.handed_out + self.free + self.others) * MIB

    def look(self):
        self.looks += 1
        self.now += self.takes
        return HeapState(self.handed_out * MIB, (self.free + self.given_back) * MIB)

    def clock(self):
        return self.now


def test_what_lies_free_in_the_heap_is_told_without_what_others_have_mapped():
    process = Process(free=700)
    free = FreeInHeap(process.look, process.clock, process.clock)
    assert free(process.anonymous) == 700 * MIB


def test_what_a_trim_has_given_back_is_not_free_in_the_heap_any_more():
    process = Process(free=700)
    free = FreeInHeap(process.look, process.clock, process.clock)
    free(process.anonymous)
    process.free, process.given_back = 20, 680
    assert free(process.anonymous) == 20 * MIB


def test_libraries_that_map_more_later_are_not_free_in_the_heap():
    process = Process(free=100)
    free = FreeInHeap(process.look, process.clock, process.clock)
    free(process.anonymous)
    process.others = 450
    assert free(process.anonymous) == 100 * MIB


def test_of_a_process_with_another_allocator_nothing_is_called_free():
    process = Process(handed_out=1, free=0, others=4000)
    free = FreeInHeap(process.look, process.clock, process.clock)
    assert free(process.anonymous) == 0
    process.others = 9000
    assert free(process.anonymous) == 0
    process.others = 5000
    assert free(process.anonymous) == 0


def test_where_nobody_can_tell_nothing_is_free_in_the_heap():
    assert FreeInHeap(glibc_heap(lambda: SimpleNamespace()))(5 * MIB) == 0


def test_after_a_look_that_took_long_the_last_answer_holds_for_a_while():
    process = Process(free=700)
    process.takes = 0.1
    free = FreeInHeap(process.look, process.clock, process.clock)
    free(process.anonymous)
    process.free = 300
    assert free(process.anonymous) == 700 * MIB and process.looks == 1
    process.now += 0.11 * REST
    assert free(process.anonymous) == 300 * MIB and process.looks == 2


def test_what_is_worth_it_is_looked_at_all_the_same_while_that_is_bearable():
    process = Process(free=700)
    process.takes = PATIENCE
    free = FreeInHeap(process.look, process.clock, process.clock)
    free(process.anonymous)
    process.free = 300
    assert free(process.anonymous, worth=True) == 300 * MIB
    process.takes = 2 * PATIENCE
    free(process.anonymous, worth=True)
    process.free = 100
    assert free(process.anonymous, worth=True) == 300 * MIB


def test_the_last_answer_is_never_more_than_what_is_there():
    process = Process(free=700)
    process.takes = 0.1
    free = FreeInHeap(process.look, process.clock, process.clock)
    free(process.anonymous)
    assert free(200 * MIB) == 200 * MIB


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_of_this_process_it_tells_the_blocks_that_were_freed_until_they_are_given_back():
    """In a process of its own, with the dynamic threshold fixed so that the blocks lie on the heap."""
    if glibc_heap() is None:
        pytest.skip("glibc before 2.33")
    code = (
        "import ctypes\n"
        "from resource_gate.monitor.heap import FreeInHeap, glibc_heap\n"
        "from resource_gate.monitor.process import ProcessReader\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]\n"
        "libc.free.argtypes = [ctypes.c_void_p]\n"
        "reader, free = ProcessReader(), FreeInHeap(glibc_heap())\n"
        "told = [free(reader.anonymous_rss(), True)]\n"
        "blocks = [libc.malloc(65536) for _ in range(1600)]\n"
        "for b in blocks: ctypes.memset(b, 1, 65536)\n"
        "told.append(free(reader.anonymous_rss(), True))\n"
        "for b in blocks[:-1]: libc.free(b)\n"
        "told.append(free(reader.anonymous_rss(), True))\n"
        "libc.malloc_trim(0)\n"
        "told.append(free(reader.anonymous_rss(), True))\n"
        "print(*told)\n"
    )
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "1073741824"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    at_first, held, freed, trimmed = map(int, done.stdout.split())
    assert max(at_first, held, trimmed) < 10 * MIB
    assert freed == pytest.approx(100 * MIB, abs=8 * MIB)


def test_the_samplers_look_is_spared_while_it_is_dear_and_made_each_time_while_it_is_not():
    process = Process(handed_out=300, free=700, others=0)
    slack = SparingHeapSlack(lambda: process.look().handed_out, process.clock, process.clock)
    assert slack(process.anonymous) == 700 * MIB
    process.handed_out, process.free = 500, 500
    assert slack(process.anonymous) == 500 * MIB
    process.takes = 2
    slack(process.anonymous)
    looks, process.handed_out = process.looks, 100
    process.now += 2 * REST - 1
    assert slack(600 * MIB) == 100 * MIB and process.looks == looks
    process.now += 1
    assert slack(600 * MIB) == 500 * MIB and process.looks == looks + 1


def test_a_heap_that_tells_nothing_has_no_slack_to_tell_of():
    assert SparingHeapSlack(None)(5 * MIB) is None

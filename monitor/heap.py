"""Free bytes that the C heap holds back from the system: what a trim would give."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import psutil

HeapUse = Callable[[], int]
"""Bytes that the C heap has handed out, on the heap and in own mappings."""


class _Mallinfo2(ctypes.Structure):
    """`struct mallinfo2` of glibc ≥ 2.33 (malloc.h)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks"),
            *("fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def _by_psutil(module: Any) -> HeapUse | None:
    """psutil ≥ 7.2, on systems whose C library tells."""
    info = getattr(module, "heap_info", None)
    if info is None:
        return None

    def use() -> int:
        heap = info()
        return int(heap.heap_used + heap.mmap_used)

    return use


def _by_glibc(load: Callable[[], Any]) -> HeapUse | None:
    try:
        mallinfo2 = load().mallinfo2
    except (AttributeError, OSError, TypeError):
        return None  # musl, macOS, old glibc; Windows has no library without a name
    mallinfo2.restype = _Mallinfo2

    def use() -> int:
        info = mallinfo2()
        return int(info.uordblks + info.hblkhd)

    return use


def heap_use(module: Any = psutil, load: Callable[[], Any] = lambda: ctypes.CDLL(None)) -> HeapUse | None:
    """Find what tells how much the heap has handed out: psutil where it can, else glibc; None where neither.

    Args:
        module: psutil, or what stands for it.
        load: opens the C library.
    """
    return _by_psutil(module) or _by_glibc(load)


_own_heap_use = functools.cache(heap_use)


def heap_slack(anonymous: int, use: HeapUse | None = None) -> int | None:
    """Return bytes of `anonymous` memory that the heap has not handed out, None where no one can tell.

    Memory mapped past the heap (Python's small-object arenas, pinned buffers) counts in, so it overstates
    what a trim gives by that; measured on frames, it read 2397 MB where a trim gave 2340.

    Args:
        anonymous: bytes of the process's anonymous resident memory.
        use: tells what the heap handed out; None for this system's own.
    """
    use = use or _own_heap_use()
    return None if use is None else max(0, anonymous - use())

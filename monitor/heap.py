"""Free bytes that the C heap holds back from the system: what a trim would give."""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

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


class HeapState(NamedTuple):
    """Bytes that the heap has handed out, on the heap and in own mappings, and bytes free on the heap: those that a
    trim has given back to the system among them."""

    handed_out: int
    free: int


HeapLook = Callable[[], HeapState]


def glibc_heap(load: Callable[[], Any] = lambda: ctypes.PyDLL(None)) -> HeapLook | None:
    """What `mallinfo2` tells, of all arenas; None where the C library has none (musl, macOS, Windows, glibc < 2.33).

    Args:
        load: opens the C library. The interpreter's lock is kept meanwhile: to get it back from a busy thread may take
            5 ms, and a look takes less than 1.
    """
    try:
        mallinfo2 = load().mallinfo2
    except (AttributeError, OSError, TypeError):
        return None  # Windows has no library without a name
    mallinfo2.restype = _Mallinfo2

    def look() -> HeapState:
        info = mallinfo2()
        return HeapState(int(info.uordblks + info.hblkhd), int(info.fordblks))

    return look


def _by_glibc(load: Callable[[], Any]) -> HeapUse | None:
    look = glibc_heap(load)
    return None if look is None else lambda: look().handed_out


def heap_use(module: Any = psutil, load: Callable[[], Any] = lambda: ctypes.CDLL(None)) -> HeapUse | None:
    """Find what tells how much the heap has handed out: psutil where it can, else glibc; None where neither.

    Args:
        module: psutil, or what stands for it.
        load: opens the C library.
    """
    return _by_psutil(module) or _by_glibc(load)


own_heap_use = functools.cache(heap_use)
"""`heap_use` of this system."""


def heap_slack(anonymous: int, use: HeapUse | None = None) -> int | None:
    """Return bytes of `anonymous` memory that the heap has not handed out, None where no one can tell.

    Memory mapped past the heap (Python's small-object arenas, pinned buffers) counts in, so it overstates
    what a trim gives by that; measured on frames, it read 2397 MB where a trim gave 2340.

    Args:
        anonymous: bytes of the process's anonymous resident memory.
        use: tells what the heap handed out; None for this system's own.
    """
    use = use or own_heap_use()
    return None if use is None else max(0, anonymous - use())


REST = 1000.0
"""Times as long as a look took, for which there is no other …"""

PATIENCE = 0.003
"""… unless it is worth as much as so many seconds. `mallinfo2` walks all free pieces of the heap: that took 2 µs with a
few of them, 0.7 ms in a ComfyUI, and 100 ms with 200 000."""

LONG = 0.00005
"""Seconds of a look below which the next one need not wait."""


T = TypeVar("T")


class Rested(Generic[T]):
    """A look at the heap, and when the next one is due: the heap is locked meanwhile, for all threads.

    Args:
        look: at the heap.
        clock: seconds.
        effort: seconds of this thread on a processor: on a busy machine a look takes longer and costs the same.
    """

    def __init__(
        self,
        look: Callable[[], T],
        clock: Callable[[], float] = time.monotonic,
        effort: Callable[[], float] = time.thread_time,
    ) -> None:
        self._look = look
        self._clock = clock
        self._effort = effort
        self._took = 0.0
        self._not_before = 0.0

    def due(self, worth: bool = False) -> bool:
        """Whether a look costs little beside the time since the last; where it is `worth` much, whether it is quick."""
        return self._clock() >= self._not_before or (worth and self._took <= PATIENCE)

    def __call__(self) -> T:
        """Look now."""
        began = self._effort()
        told = self._look()
        self._took = self._effort() - began
        if self._took > LONG:
            self._not_before = self._clock() + self._took * REST
        return told


class SparingHeapSlack:
    """`heap_slack` by what the heap told last, where another look would cost too much: for who asks ten times a second.

    Args:
        use: tells what the heap handed out; None where no one can tell.
        clock, effort: as `Rested` has them.
    """

    def __init__(
        self,
        use: HeapUse | None,
        clock: Callable[[], float] = time.monotonic,
        effort: Callable[[], float] = time.thread_time,
    ) -> None:
        self._use = None if use is None else Rested(use, clock, effort)
        self._handed_out = 0

    def __call__(self, anonymous: int) -> int | None:
        """Of so many anonymous bytes, as read a moment ago; None where no one can tell."""
        if self._use is None:
            return None
        if self._use.due():
            self._handed_out = self._use()
        return max(0, anonymous - self._handed_out)


class FreeInHeap:
    """Tells resident bytes that lie free inside the heap: what runs next may find room there, and the process not grow.

    Anonymous memory is what the heap has handed out, what lies free in it, and what others have mapped (Python's
    arenas, stacks, another allocator altogether). The last is the most that ever remained when the others were taken
    off: after a trim less remains, for what was given back still counts as free on the heap. 0 where nobody can tell.

    Args:
        look: at the heap; None where it tells nothing.
        clock, effort: as `Rested` has them.
    """

    def __init__(
        self,
        look: HeapLook | None,
        clock: Callable[[], float] = time.monotonic,
        effort: Callable[[], float] = time.thread_time,
    ) -> None:
        self._look = None if look is None else Rested(look, clock, effort)
        self._others = 0
        self._last = 0

    def __call__(self, anonymous: int, worth: bool = False) -> int:
        """Of so many anonymous bytes, as read a moment ago; as the last look told, where another would cost too much.

        Args:
            worth: something large is about to run, or has: a look may cost `PATIENCE`.
        """
        if self._look is None:
            return 0
        if self._look.due(worth):
            handed_out, free = self._look()
            self._others = max(self._others, anonymous - handed_out - free)
            self._last = max(0, anonymous - handed_out - self._others)
        return min(self._last, anonymous)

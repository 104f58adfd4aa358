"""Rungs for buffers beside the heap: pinned host memory, written files in the page cache, Windows' working set."""

from __future__ import annotations

import ctypes
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..monitor.readings import Level
from .action import human
from .host import MemoryHost, Place

RECENT = 3600.0
"""Seconds since a file was written within which its pages may still be in the cache."""

MAX_FILES = 500
"""Files looked at in one go: opening them must stay a matter of milliseconds."""

LOOK = 0.05
"""Seconds for a look at the folders, which may lie on a slow disk and hold a hundred thousand files: the ladder is
locked meanwhile."""


class PinnedCache:
    """Unused blocks of the pinned host allocator: page-locked RAM that nobody uses and the system cannot swap."""

    name = "pinned host cache"
    level = Level.WARNING
    place = Place.BETWEEN_NODES

    def __init__(self, host: MemoryHost) -> None:
        self._host = host

    def estimate(self, resource: str, place: Place) -> int:
        """Bytes held and not used."""
        return self._host.pinned_slack()

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Return them."""
        self._host.empty_pinned_cache()
        return None, "emptied the pinned host cache"


class ModelPins:
    """Pinned copies of model weights that ComfyUI keeps in RAM to load them faster; the weights stay in their file."""

    name = "pinned model weights"
    level = Level.CRITICAL
    place = Place.BETWEEN_NODES

    def __init__(self, host: MemoryHost) -> None:
        self._host = host

    def estimate(self, resource: str, place: Place) -> int:
        """Bytes pinned."""
        return self._host.pinned_weights()

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Unpin as many as needed."""
        freed = self._host.free_pins(self._host.pinned_weights() if goal is None else goal)
        return None, f"unpinned {human(freed)} of model weights"


class WrittenFiles:
    """Files of ours that were written and will not be read soon, out of the page cache.

    It lifts no limit by itself (the kernel drops such pages before it kills, and they do not count as used); it
    spares the kernel the search for them in an emergency. Only where the system offers `posix_fadvise`.

    Args:
        folders: where results are written.
    """

    name = "written files in the page cache"
    level = Level.EMERGENCY
    place = Place.ANYWHERE

    def __init__(
        self,
        folders: Callable[[], Iterable[Path | None]],
        advise: Callable[[int], None] | None = None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folders = folders
        self._advise = advise or _fadvise()
        self._now = now
        self._clock = clock

    def estimate(self, resource: str, place: Place) -> int:
        """Bytes of the files; 0 where the system has no such call."""
        return 0 if self._advise is None else sum(size for _, size in self._recent())

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Tell the kernel; what it drops was not counted as used, so nothing counts as freed."""
        told = 0
        for path, size in self._recent():
            try:
                descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            except OSError:
                continue  # gone, or not ours to read
            try:
                if self._advise is not None:
                    self._advise(descriptor)
                told += size
            finally:
                os.close(descriptor)
        return 0, f"let {human(told)} of written files go from the page cache"

    def _recent(self) -> Iterator[tuple[Path, int]]:
        since, left, until = self._now() - RECENT, MAX_FILES, self._clock() + LOOK
        pending = [str(folder) for folder in {f for f in self._folders() if f is not None}]
        while pending:
            try:
                entries = os.scandir(pending.pop())
            except OSError:
                continue
            with entries:
                for entry in entries:
                    left -= 1
                    if left < 0 or self._clock() > until:
                        return
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
                            continue
                        status = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    if stat.S_ISREG(status.st_mode) and status.st_mtime >= since:
                        yield Path(entry.path), status.st_size


def _fadvise() -> Callable[[int], None] | None:
    advise = getattr(os, "posix_fadvise", None)
    if advise is None:
        return None
    return lambda descriptor: advise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


class OwnWorkingSet:
    """On Windows, pages of this process that it has not used lately, and of no other.

    They move to the standby list, from where they come back without a read; what is really used comes back at once.
    """

    name = "own working set"
    level = Level.EMERGENCY
    place = Place.ANYWHERE

    def __init__(self, empty: Callable[[], None] | None = None) -> None:
        self._empty = empty or (_empty_working_set if sys.platform == "win32" else None)

    def estimate(self, resource: str, place: Place) -> int | None:
        """Unknown; 0 on other systems."""
        return None if self._empty is not None else 0

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Empty it."""
        if self._empty is not None:
            self._empty()
        return None, "emptied the own working set"


def _empty_working_set() -> None:
    """`EmptyWorkingSet` on the current process (psapi.h).

    Raises:
        OSError: Windows refused.
    """
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - the name exists on Windows only
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    if not kernel.K32EmptyWorkingSet(ctypes.c_void_p(kernel.GetCurrentProcess())):
        raise OSError("EmptyWorkingSet failed")

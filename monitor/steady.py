"""RAM as it was read a moment ago, where it cannot have become short since."""

from __future__ import annotations

import time
from collections.abc import Callable

from .readings import MemoryReading

KEPT = 0.05
"""Seconds for which a reading is looked at again at the most."""

FASTEST = 32 * 1024**3
"""Bytes a second: more than the cores of a workstation can touch anew, huge pages and all."""


class SteadyReading:
    """Spares a system call before each of many short nodes. Any thread.

    Args:
        read: looks now.
        short: limit in bytes → bytes in use from which memory counts as short.
    """

    def __init__(
        self,
        read: Callable[[], MemoryReading],
        short: Callable[[int], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._short = short
        self._clock = clock
        self._last: tuple[float, float, MemoryReading] | None = None
        """When it was read, how many bytes it was then to being short, and the reading."""

    def __call__(self, ahead: int = 0) -> MemoryReading:
        """A reading; that of a moment ago where, with `ahead` bytes more, memory would surely not be short by now.

        Raises:
            OSError, ValueError: as `read` does.
        """
        now, last = self._clock(), self._last
        if last is not None and now - last[0] < KEPT and ahead + FASTEST * (now - last[0]) < last[1]:
            return last[2]
        reading = self._read()
        self._last = now, self._short(reading.limit) - reading.used, reading
        return reading

    def roomy(self, ahead: int) -> bool:
        """Whether, by what was read a moment ago, memory is surely not short with `ahead` bytes more; reads nothing."""
        last = self._last
        if last is None:
            return False
        age = self._clock() - last[0]
        return age < KEPT and ahead + FASTEST * age < last[1]

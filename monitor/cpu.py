"""CPU: busy share of the machine and of this process.

From deltas of our own: two callers of `psutil.cpu_percent` in one process spoil each other's.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from .kept import KeptFile
from .readings import CpuReading

WINDOW = 0.5
"""Seconds that must have passed for a new reading: kernels count in ticks of 10 ms, so less is noise."""

MachineTimes = Callable[[], tuple[float, float]]
"""Busy and total CPU seconds (or ticks) of the machine since it started."""


class LinuxTimes:
    """The first line of `/proc/stat`: user nice system idle iowait irq softirq steal …, in ticks.

    Idle and iowait are not busy; guest time is already counted in user and nice.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._stat = KeptFile(proc / "stat", 256)

    def __call__(self) -> tuple[float, float]:
        """Return ticks since the start."""
        ticks = [int(t) for t in self._stat.read().split(b"\n", 1)[0].split()[1:9]]
        total = sum(ticks)
        return total - ticks[3] - ticks[4], total


def portable_times() -> tuple[float, float]:
    """Return the same through psutil, in seconds."""
    times = psutil.cpu_times()
    total = sum(times)
    return total - times.idle, total


def load_average() -> tuple[float, float, float] | None:
    """Return the run queue's mean length over 1, 5 and 15 minutes; None on Windows, where there is none."""
    return os.getloadavg() if hasattr(os, "getloadavg") else None


class CpuReader:
    """Busy shares since the reading before; one caller at a time.

    Args:
        machine: busy and total of the machine; None for this system's own.
        own: CPU seconds of this process.
        cores: cores of the machine.
        load: load averages.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        machine: MachineTimes | None = None,
        own: Callable[[], float] = time.process_time,
        cores: int | None = None,
        load: Callable[[], tuple[float, float, float] | None] = load_average,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine = machine or (LinuxTimes() if sys.platform.startswith("linux") else portable_times)
        self._own, self._load, self._clock = own, load, clock
        self._cores = cores or os.cpu_count() or 1
        self._before = (clock(), *self._machine(), own())
        self._reading: CpuReading | None = None

    def read(self) -> CpuReading | None:
        """Return shares since the reading before, the same again within half a second; None in the first.

        Raises:
            OSError: the system does not tell.
        """
        now = self._clock()
        then, busy_then, total_then, own_then = self._before
        if now - then < WINDOW:
            return self._reading
        busy, total = self._machine()
        own = self._own()
        self._before = (now, busy, total, own)
        share = (busy - busy_then) / (total - total_then) if total > total_then else 0.0
        self._reading = CpuReading(
            min(1.0, max(0.0, share)), max(0.0, own - own_then) / (now - then), self._cores, self._load()
        )
        return self._reading

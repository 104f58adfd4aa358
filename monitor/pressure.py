"""Signs of memory trouble beside the levels: stalls (PSI), swap, and kills by the kernel."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from .cgroup import Group, memory_groups
from .kept import LONG, KeptFile, number_after
from .readings import PressureReading

SLOW_EVERY = 5.0
"""Seconds between looks at the machine's own kill counter: `/proc/vmstat` costs 40 µs."""


def _kept(path: Path, size: int = 4096) -> KeptFile | None:
    try:
        file = KeptFile(path, size)
        file.read()  # PSI may be compiled in and switched off: then the file opens and cannot be read
    except OSError:
        return None
    return file


class PressureReader:
    """Linux: PSI of the machine or the own cgroup, swap, and the OOM-kill counter. One caller at a time.

    Args:
        proc: `/proc`, or a tree made like it.
        sys_cgroup: `/sys/fs/cgroup`, or a tree made like it; None to look at no cgroups.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        proc: Path = Path("/proc"),
        sys_cgroup: Path | None = Path("/sys/fs/cgroup"),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        groups = memory_groups(proc, sys_cgroup) if sys_cgroup else []
        self._kills = _kill_counter(groups[0]) if groups else None
        own = _kept(groups[0].folder / "memory.pressure") if groups and groups[0].version == 2 else None
        self._stalls = own or _kept(proc / "pressure/memory")
        self._meminfo = _kept(proc / "meminfo")
        self._vmstat = _kept(proc / "vmstat", LONG) if self._kills is None else None
        self._clock = clock
        self._slow_due, self._machine_kills = 0.0, None

    _slow_due: float
    _machine_kills: int | None

    def read(self) -> PressureReading:
        """Look now; about 5 µs.

        Raises:
            OSError: a file that was there is gone.
        """
        some = full = stalled = None
        if self._stalls is not None:
            some, full, stalled = _stall_shares(self._stalls.read())
        total = free = None
        if self._meminfo is not None:
            data = self._meminfo.read()
            total, free = number_after(data, b"SwapTotal:"), number_after(data, b"SwapFree:")
        known = total is not None and free is not None
        return PressureReading(
            some,
            full,
            stalled,
            swap_used=((total or 0) - (free or 0)) * 1024 if known else None,
            swap_total=(total or 0) * 1024 if known else None,
            oom_kills=self._oom_kills(),
        )

    def _oom_kills(self) -> int | None:
        if self._kills is not None:
            return number_after(b"\n" + self._kills.read(), b"\noom_kill ")
        if self._vmstat is not None and self._clock() >= self._slow_due:
            self._slow_due = self._clock() + SLOW_EVERY
            self._machine_kills = number_after(self._vmstat.read(), b"\noom_kill ")
        return self._machine_kills


def _kill_counter(group: Group) -> KeptFile | None:
    name = "memory.events" if group.version == 2 else "memory.oom_control"
    file = _kept(group.folder / name)
    return file if file is not None and b"oom_kill " in file.read() else None


def _stall_shares(data: bytes) -> tuple[float | None, float | None, float | None]:
    """Take apart `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and the line `full` (shares in %, µs)."""
    shares: dict[bytes, dict[bytes, float]] = {}
    for line in data.splitlines():
        kind, *pairs = line.split()
        shares[kind] = {key: float(value) for key, _, value in (p.partition(b"=") for p in pairs)}
    some, full = shares.get(b"some", {}), shares.get(b"full", {})
    return (
        some[b"avg10"] / 100 if b"avg10" in some else None,
        full[b"avg10"] / 100 if b"avg10" in full else None,
        some[b"total"] / 1e6 if b"total" in some else None,
    )


class PortablePressure:
    """Elsewhere: swap alone.

    Args:
        swap: as `psutil.swap_memory`.
    """

    def __init__(self, swap: Callable[[], Any] = psutil.swap_memory) -> None:
        self._swap = swap

    def read(self) -> PressureReading:
        """Look now."""
        swap = self._swap()
        return PressureReading(swap_used=int(swap.used), swap_total=int(swap.total))


def pressure_reader(platform: str = sys.platform) -> PressureReader | PortablePressure:
    """Choose by system, named as in `sys.platform`."""
    return PressureReader() if platform.startswith("linux") else PortablePressure()

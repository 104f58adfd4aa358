"""RAM as the limit with the least headroom sees it: the number that kills."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .cgroup import GroupMemory, memory_groups
from .machine import MachineSource, machine_source
from .readings import MemoryReading

LIMITS_EVERY = 1.0
"""Seconds after which limits are read again: `docker update` changes them under a running process."""
DISCOVER_EVERY = 60.0
"""Seconds after which the hierarchy is looked up again: a process may be moved to another group."""


class _View(NamedTuple):
    """What one look at the hierarchy found; replaced whole, so that readers need no lock."""

    groups: tuple[GroupMemory, ...]
    limited: tuple[tuple[GroupMemory, int], ...]
    limits_due: float
    discover_due: float


class RamReader:
    """Tells how near the process is to the limit it will meet first. Any thread, at any time.

    Candidates are the machine's own memory and every cgroup from the process's up to the root; the one with
    the least bytes between working set and limit wins, for that one is met first. (The smallest limit need
    not be: a parent shared with others may be nearly full.) A limit set by hand takes the place of the
    winner's limit where it is smaller: it is a promise about the memory that the winner counts.

    Args:
        proc: `/proc`, or a tree made like it.
        sys_cgroup: `/sys/fs/cgroup`, or a tree made like it; None to look at no cgroups.
        hand_limit: bytes; 0 for none. May be set later through the attribute of the same name.
        machine: lists the whole machine's limits; None for this system's own.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        proc: Path = Path("/proc"),
        sys_cgroup: Path | None = Path("/sys/fs/cgroup"),
        hand_limit: int = 0,
        *,
        machine: MachineSource | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hand_limit = hand_limit
        self._proc, self._sys_cgroup = proc, sys_cgroup
        self._machine = machine or machine_source(proc=proc)
        self._clock = clock
        self._refreshing = threading.Lock()
        self._view = self._discovered(clock())

    def read(self) -> MemoryReading:
        """Look now; 4 µs without a cgroup limit, about 10 µs more for each group that has one.

        Raises:
            OSError, ValueError: the machine does not tell of its own memory. A cgroup that vanishes is not an
                error: the hierarchy is looked up again.
        """
        now = self._clock()
        self._refresh(now)
        candidates = list(self._machine())
        try:
            candidates += [MemoryReading(g.working_set(), n, g.source) for g, n in self._view.limited]
        except OSError:  # a group is gone: the process was moved
            self._view = self._discovered(now)
            candidates += self._readable_groups()
        tightest = min(candidates, key=lambda m: m.limit - m.used)
        if 0 < self.hand_limit < tightest.limit:
            return MemoryReading(tightest.used, self.hand_limit, "settings")
        return tightest

    def _readable_groups(self) -> list[MemoryReading]:
        found: list[MemoryReading] = []
        for group, limit in self._view.limited:
            try:
                found.append(MemoryReading(group.working_set(), limit, group.source))
            except OSError:  # gone between the look-up and now: the next look finds its successor
                continue
        return found

    def _refresh(self, now: float) -> None:
        if now < self._view.limits_due or not self._refreshing.acquire(blocking=False):
            return
        try:
            view = self._view
            self._view = self._discovered(now) if now >= view.discover_due else self._limited(view, now)
        finally:
            self._refreshing.release()

    def _discovered(self, now: float) -> _View:
        opened: list[GroupMemory] = []
        for group in memory_groups(self._proc, self._sys_cgroup) if self._sys_cgroup else ():
            try:
                opened.append(GroupMemory(group))
            except OSError:  # no permission, or gone meanwhile: the others still bind
                continue
        return self._limited(_View(tuple(opened), (), 0.0, now + DISCOVER_EVERY), now)

    def _limited(self, view: _View, now: float) -> _View:
        try:
            limits = [(g, g.limit()) for g in view.groups]
        except OSError:  # a group is gone: look up the hierarchy at the next read
            return view._replace(limits_due=now, discover_due=now, limited=())
        limited = tuple((g, n) for g, n in limits if n is not None)
        return view._replace(limited=limited, limits_due=now + LIMITS_EVERY)

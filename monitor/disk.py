"""Disks that ComfyUI writes to: what is free, and when that will be gone."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .readings import DiskReading

log = logging.getLogger(__name__)

WINDOW = 600.0
"""Seconds that the forecast looks back: longer than one clip, shorter than one batch."""
SPACING = 5.0
"""Least seconds between two points of it."""
SPAN = 30.0
"""Least seconds that must be seen before anything is foretold."""
HORIZON = 7 * 86400.0
"""Seconds past which a forecast says nothing of use."""


class Forecast:
    """When a disk is full, at the growth from the window's first point to its last."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def full_in(self, at: float, free: int) -> float | None:
        """Take in `free` bytes at the monotonic second `at`; return seconds until none is left.

        None while it does not grow, while too little was seen, or where that is more than a week off.
        """
        points = self._points
        while points and at - points[0][0] > WINDOW:
            points.popleft()
        if not points or at - points[-1][0] >= SPACING:
            points.append((at, free))
        then, free_then = points[0]
        if at - then < SPAN or free >= free_then:
            return None
        seconds = free * (at - then) / (free_then - free)
        return seconds if seconds <= HORIZON else None


def existing(path: Path) -> Path:
    """Return the path, or the nearest parent that exists: a folder may be made only when first written to."""
    for candidate in (path, *path.parents):
        if candidate.exists():
            return candidate
    return path


class DiskReader:
    """Free bytes of each file system, one reading for places that share one. One caller at a time.

    A network drive that hangs, hangs the call; it belongs on a thread of its own (`aside.py`).

    Args:
        places: role (`output`, `temp`, `database`) → folder or file there.
        usage: as `shutil.disk_usage`.
        device: what tells file systems apart.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        places: Mapping[str, Path],
        *,
        usage: Callable[[Path], Any] = shutil.disk_usage,
        device: Callable[[Path], int] = lambda path: os.stat(path).st_dev,  # noqa: PTH116 - one call
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = dict(places)
        self._usage, self._device, self._clock = usage, device, clock
        self._forecasts: dict[int, Forecast] = {}
        self._left_out: set[str] = set()

    def read(self) -> tuple[DiskReading, ...]:
        """Look now, in the order of `places`. One that cannot be read is left out, and said so once.

        Raises:
            OSError: none can be read.
        """
        roles: dict[int, list[str]] = {}
        paths: dict[int, Path] = {}
        failed: dict[str, OSError] = {}
        for role, place in self._places.items():
            try:
                path = existing(place)
                device = self._device(path)
            except OSError as error:  # a drive that was unplugged, a server that is gone
                failed[role] = error
                continue
            roles.setdefault(device, []).append(role)
            paths.setdefault(device, path)
        found = []
        for device, names in roles.items():
            try:
                found.append(self._one(device, paths[device], tuple(names)))
            except OSError as error:
                failed[", ".join(names)] = error
        for names_of, why in failed.items():
            if not found:
                raise why
            if names_of not in self._left_out:
                self._left_out.add(names_of)
                log.warning("Resource Gate: the disk of %s cannot be read: %s; the others are watched", names_of, why)
        return tuple(found)

    def _one(self, device: int, path: Path, roles: tuple[str, ...]) -> DiskReading:
        usage = self._usage(path)
        forecast = self._forecasts.setdefault(device, Forecast())
        full_in = forecast.full_in(self._clock(), usage.free)
        return DiskReading(str(path), roles, usage.used, usage.total, usage.free, full_in)

"""The last hour, thinned: one point a second at the most, about 1 MB."""

from __future__ import annotations

import threading
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from .levels import disk_name, vram_name
from .readings import Level, Sample

SPAN = 3600.0
SPACING = 1.0

_Point = tuple[tuple[str, ...], "array[float]"]
"""Names and values apart: points of one shape share the names, and a value takes 8 bytes."""


def figures(sample: Sample) -> dict[str, float]:
    """Return what history keeps of a sample, flat: bytes, shares 0–1, seconds; `level` as its number.

    Names are those of the resources (`ram`, `vram0`, `disk_output`: bytes used), `…_limit` beside them.
    """
    found: dict[str, float] = {"time": sample.time, "level": float(sample.level)}
    if sample.ram is not None:
        found |= {"ram": sample.ram.used, "ram_limit": sample.ram.limit}
    if sample.process is not None:
        found |= {"rss": sample.process.rss, "anonymous": sample.process.anonymous}
    if sample.cpu is not None:
        found |= {"cpu": sample.cpu.fraction, "process_cores": sample.cpu.process_cores}
    for gpu in sample.gpus:
        name = vram_name(gpu)
        found |= {name: gpu.working_set, f"{name}_limit": gpu.total}
        more = {"utilization": gpu.utilization, "temperature": gpu.temperature, "power": gpu.power}
        found |= {f"gpu{gpu.index}_{key}": value for key, value in more.items() if value is not None}
    for disk in sample.disks:
        name = disk_name(disk)
        found |= {name: disk.total - disk.free, f"{name}_limit": disk.total}
    if sample.temp is not None:
        found["temp"] = sample.temp.bytes
    if sample.pressure is not None and sample.pressure.swap_used is not None:
        found["swap"] = sample.pressure.swap_used
    return found


def highest(points: Iterable[dict[str, float]]) -> dict[str, float]:
    """Make one of several: the highest of each figure, so that thinning hides no peak; the time is the last's."""
    found: dict[str, float] = {}
    for point in points:
        for name, value in point.items():
            found[name] = max(value, found.get(name, value))
    return found


class History:
    """Keeps samples of the last `span` seconds, at most one each `spacing` seconds. Any thread."""

    def __init__(self, span: float = SPAN, spacing: float = SPACING) -> None:
        self._span, self._spacing = span, spacing
        # By number, too: after a clock was set back, the points before it are younger than the span for a long time.
        self._points: deque[_Point] = deque(maxlen=int(span / spacing) + 2)
        self._slot: float | None = None
        self._lock = threading.Lock()

    def add(self, sample: Sample) -> None:
        """Take in a sample; those of one slot of time become one point."""
        point, slot = figures(sample), sample.at // self._spacing
        with self._lock:
            if self._points and slot == self._slot:
                point = highest((_unpacked(self._points.pop()), point))
            names = tuple(point)
            if self._points and self._points[-1][0] == names:
                names = self._points[-1][0]
            self._points.append((names, array("d", point.values())))
            self._slot = slot
            while self._points[0][1][0] < sample.time - self._span:
                self._points.popleft()

    def since(self, time: float, points: int) -> list[dict[str, Any]]:
        """Return points later than `time` (seconds since the epoch), oldest first, `points` at the most.

        Each is as `figures` makes it, with the level as its word.
        """
        with self._lock:
            kept = [point for point in self._points if point[1][0] > time]
        each = -(-len(kept) // max(1, points)) or 1
        return [_told(highest(map(_unpacked, kept[i : i + each]))) for i in range(0, len(kept), each)]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Walk over all points, oldest first."""
        with self._lock:
            kept = list(self._points)
        return (_told(_unpacked(point)) for point in kept)


def _unpacked(point: _Point) -> dict[str, float]:
    return dict(zip(*point, strict=True))


def _told(point: dict[str, float]) -> dict[str, Any]:
    return {**point, "level": Level(int(point["level"])).label}

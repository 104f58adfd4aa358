"""How long to wait until the next look: headroom ÷ fill rate, as earlyoom does."""

from __future__ import annotations

from ..settings import Monitor, Tiers
from .level import entry_of
from .readings import Level, MemoryReading

FASTEST_FILL = 6000 * 1024**2
"""Bytes a second that a process may begin to fill at from one moment to the next: earlyoom's figure."""
SAFETY = 0.5
"""A full sample comes at this share of the time in which the next level is reached at the present rate."""
MOVING = 0.01
"""Share of the limit a second from which memory counts as moving."""
SHORTEST = 0.02
"""Seconds under which two readings tell no rate: the kernel counts in batches of pages for each core."""


def seconds_until(headroom: float, rate: float, least: float, most: float) -> float:
    """Return `headroom` ÷ `rate` (bytes, bytes a second) within `least` and `most`; `most` at no rise."""
    return most if rate <= 0 else min(most, max(least, headroom / rate))


def headroom(ram: MemoryReading, level: Level, tiers: Tiers) -> float:
    """Return bytes until the first level that is not entered yet, or until the limit at the worst one."""
    if level is Level.EMERGENCY:
        return float(ram.free)
    return max(0.0, entry_of(Level(level + 1), ram.limit, tiers) - ram.used)


class Rhythm:
    """When to take the next full sample, and when to look at RAM alone in between.

    A full sample goes by the rate that was measured. That alone would be too late: at rest nothing rises,
    and a job may begin to fill at any moment. So in between RAM alone is looked at, at the pace at which the
    next level could be reached at most (`FASTEST_FILL`). A look costs 5 µs when warm and up to 0.3 ms when each
    wakes an idle core: measured by `bench/sample.py`, ten a second just below a threshold cost 0.1–0.2 CPU
    seconds a minute, ample headroom 0.02. The former is the price of hearing of a hog within 0.1 s.
    """

    def __init__(self) -> None:
        self.rate = 0.0
        """Bytes a second that RAM in use rose at last."""
        self._last: tuple[float, MemoryReading] | None = None

    def note(self, at: float, ram: MemoryReading) -> None:
        """Take in a reading of the monotonic second `at`."""
        if self._last is None or self._last[1].source != ram.source:
            self._last, self.rate = (at, ram), 0.0
            return
        then, before = self._last
        if at - then >= SHORTEST:
            self.rate = (ram.used - before.used) / (at - then)
            self._last = (at, ram)

    def until_full(self, level: Level, tiers: Tiers, settings: Monitor, rest: float) -> float:
        """Return seconds until the next full sample; `rest` is the most."""
        if self._last is None:
            return rest
        ram = self._last[1]
        least = min(settings.interval_min, rest)
        if level >= Level.WARNING and abs(self.rate) >= MOVING * ram.limit:
            return least
        return seconds_until(SAFETY * headroom(ram, level, tiers), self.rate, least, rest)

    def until_look(self, level: Level, tiers: Tiers, settings: Monitor, rest: float) -> float:
        """Return seconds until the next look at RAM alone; `rest` is the most."""
        if self._last is None:
            return rest
        least = min(settings.interval_min, rest)
        return seconds_until(headroom(self._last[1], level, tiers), FASTEST_FILL, least, rest)

"""Levels with memory: entered at one value, left at a lower one, so that they do not flutter."""

from __future__ import annotations

from collections.abc import Iterator

from ..settings import Tiers
from .readings import Level


def _tiers(tiers: Tiers) -> Iterator[tuple[Level, float, int]]:
    """List each level with the share and the bytes free (0: not used) at which it begins, worst first."""
    yield Level.EMERGENCY, tiers.emergency, tiers.emergency_free
    yield Level.CRITICAL, tiers.critical, tiers.critical_free
    yield Level.WARNING, tiers.warning, tiers.warning_free


def level_of(used: float, limit: float, tiers: Tiers) -> Level:
    """Return the level that `used` of `limit` (one unit, often bytes) enters, with no memory of before.

    A limit of zero or less says that nothing is known of it: normal.
    """
    if limit <= 0:
        return Level.NORMAL
    for level, share, free in _tiers(tiers):
        if used >= share * limit or (free and limit - used <= free):
            return level
    return Level.NORMAL


def entry_of(level: Level, limit: float, tiers: Tiers) -> float:
    """Return the least `used` at which `level` begins; 0 for normal."""
    for at, share, free in _tiers(tiers):
        if at is level:
            return min(share * limit, limit - free) if free else share * limit
    return 0.0


class Hysteresis:
    """The level of one resource over time.

    A level is entered at its share of the limit or at its bytes free, whichever comes first, and left when
    neither holds it any longer: the use is below share − leave, and more than free + leave · limit is free.
    It may jump several levels at once either way.

    `tiers` may be replaced at any time; the next update goes by the new ones.
    """

    def __init__(self, tiers: Tiers) -> None:
        self.tiers = tiers
        self.level = Level.NORMAL

    def update(self, used: float, limit: float) -> Level:
        """Take in a reading (one unit for both) and return the level that follows; `level` keeps it."""
        self.level = self.after(used, limit)
        return self.level

    def after(self, used: float, limit: float) -> Level:
        """Return the level that a reading would lead to, and remember nothing."""
        entered = level_of(used, limit, self.tiers)
        return entered if entered >= self.level else max(entered, self._held(used, limit))

    def _held(self, used: float, limit: float) -> Level:
        if limit <= 0:
            return Level.NORMAL
        margin = self.tiers.leave * limit
        for level, share, free in _tiers(self.tiers):
            holds = used >= share * limit - margin or (free and limit - used <= free + margin)
            if level <= self.level and holds:
                return level
        return Level.NORMAL

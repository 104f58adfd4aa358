"""The temp folder as a rung of the ladder: for who asks for memory, and for a disk that is short between nodes."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..monitor.readings import Level
from .host import Place, TempHost
from .temp import Found, TempCleaner

PAUSE = 60.0
"""Seconds between two looks at the folder: it is on disk, and files expire by the hour."""

SECONDS = 0.5
"""Seconds for looking, and as many for removing: the prompt worker waits meanwhile."""


class ExpiredTemp:
    """Removes expired temp files. For disks only: what it frees is RAM on no machine but one with temp on a RAM disk,
    and there `TempRoutine` goes at the same warning, beside the ladder.
    """

    name = "old temp files"
    level = Level.WARNING
    place = Place.BETWEEN_NODES

    def __init__(self, cleaner: TempCleaner, host: TempHost, clock: Callable[[], float] = time.monotonic) -> None:
        self._cleaner = cleaner
        self._host = host
        self._clock = clock
        self._found = Found()

    def estimate(self, resource: str, place: Place) -> int:
        """Bytes of what may go; within a minute of the last look, whoever looked, what of ours it has left."""
        if not resource.startswith("disk"):
            return 0
        if self._clock() < self._cleaner.looked + PAUSE:
            return self._found.bytes
        self._found = self._cleaner.find(SECONDS)
        return self._found.bytes

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Remove what the estimate found, each looked at once more."""
        found, self._found = self._found, Found()
        may_go = self._host.release_files({f.path for f in found.files}, place)
        removed = self._cleaner.remove(found, may_go, SECONDS)
        return removed.bytes, removed.text

"""How often, and after how long, a server that died is started again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

DELAYS = (0.0, 1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
"""Seconds before the first, second … restart in a row; the last one from then on. Rising, so that a server that cannot
come up burns no power; the first is none, as most deaths in a long batch stand alone, and work waits."""
WELL_AFTER = 600.0
"""Seconds of life after which a death stands alone again."""
LIMIT_PER_HOUR = 10
"""Restarts after deaths and hangs. With the delays above, a server that cannot come up is given up in 4 minutes."""
HOUR = 3600.0


class Restarts:
    """Counts restarts after deaths and hangs. Orderly ones (a leak, a reboot asked for) do not count.

    Args:
        limit_per_hour: how many in any hour.
        clock: monotonic seconds.
    """

    def __init__(self, limit_per_hour: int = LIMIT_PER_HOUR, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit_per_hour
        self._clock = clock
        self._times: deque[float] = deque()
        self._in_a_row = 0

    @property
    def in_last_hour(self) -> int:
        """How many there were."""
        while self._times and self._clock() - self._times[0] >= HOUR:
            self._times.popleft()
        return len(self._times)

    def delay(self, uptime: float, worked: bool) -> float | None:
        """Return the seconds to wait before the next start, which is counted; None where the limit is reached.

        Args:
            uptime: seconds that the life which ended had lasted.
            worked: whether a job ended in it: then what killed it is no reason to let the next jobs wait long.
        """
        if self.in_last_hour >= self._limit:
            return None
        if uptime >= WELL_AFTER or worked:
            self._in_a_row = 0
        delay = DELAYS[min(self._in_a_row, len(DELAYS) - 1)]
        self._in_a_row += 1
        self._times.append(self._clock())
        return delay

"""Stops giving jobs to a server that fails one after another for reasons of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...reclaim.action import Cause
from .result import LOST, SERVER, TIMEOUT, JobResult

THRESHOLD = 3
"""Failures of the server in a row after which it gets no job for a while."""
COOLDOWN = 30.0
"""Seconds of the first such while; doubled each time it fails again at once."""
GIVE_UP = 4
"""Whiles without a single job done between them after which it is given up."""
BLAMED = frozenset({SERVER, LOST, TIMEOUT})


class Breaker:
    """Counts for one server: closed (jobs go), open (none), half open (one, to see).

    Args:
        threshold, cooldown, give_up: as the constants of this module.
    """

    def __init__(
        self,
        threshold: int = THRESHOLD,
        cooldown: float = COOLDOWN,
        give_up: int = GIVE_UP,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threshold, self._cooldown, self._give_up, self._clock = threshold, cooldown, give_up, clock
        self._failures = 0
        self._opened = 0
        self._until = 0.0
        self.reason = ""
        """The last failure in words; `cause` is the same as a code, None where only the words tell."""
        self.cause: Cause | None = None

    def record(self, result: JobResult) -> None:
        """Take note of how a job went there."""
        if result.error_kind not in BLAMED:
            self._failures = self._opened = 0
            self._until = 0.0
            return
        self._failures += 1
        self.reason, self.cause = result.error, result.cause
        if self._failures >= self._threshold or self._opened:
            self._until = self._clock() + self._cooldown * 2**self._opened
            self._opened += 1
            self._failures = 0

    @property
    def wait(self) -> float:
        """Seconds until it may have a job; 0 where it may now."""
        return max(0.0, self._until - self._clock())

    @property
    def given_up(self) -> bool:
        """Whether to expect nothing of it any more."""
        return self._opened >= self._give_up

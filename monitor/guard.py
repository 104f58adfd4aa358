"""A reader that fails is dropped with its reason, told once, and tried again later."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
RETRY = 60.0
"""Seconds until a dropped reader is tried again."""
log = logging.getLogger(__name__)


class Guarded(Generic[T]):
    """One reader behind a guard. One caller at a time.

    Args:
        name: what the log and `Sample.problems` call it.
        read: the reader's one method.
        clock: monotonic seconds.
        retry: seconds until it is tried again after a failure.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], T],
        *,
        clock: Callable[[], float] = time.monotonic,
        retry: float = RETRY,
    ) -> None:
        self.name = name
        self.problem: str | None = None
        """Why it is dropped at present; None while it works."""
        self._read, self._clock, self._retry = read, clock, retry
        self._again = 0.0
        self._told: str | None = None

    @property
    def dropped(self) -> bool:
        """Whether it is not read at present; false again once it is time to try."""
        return self.problem is not None and self._clock() < self._again

    def read(self) -> T | None:
        """Return the reading; None while the reader is dropped. Raises nothing."""
        if self.dropped:
            return None
        try:
            value = self._read()
        except Exception as error:  # noqa: BLE001 - one reader's failure must not stop the others
            self._drop(error)
            return None
        if value is not None and self.problem is not None:
            log.info("Resource Gate: the reader '%s' works again", self.name)
            self.problem = self._told = None
        return value

    def _drop(self, error: Exception) -> None:
        self.problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self._again = self._clock() + self._retry
        if self.problem != self._told:
            self._told = self.problem
            log.warning(
                "Resource Gate: the reader '%s' is dropped, and tried again every %.0f s (%s)",
                *(self.name, self._retry, self.problem),
            )

"""Stop after the current job: it comes to its end, retries and all, and then the gate is paused."""

from __future__ import annotations

import threading
from collections.abc import Callable


class StopAfterCurrent:
    """Any thread.

    Args:
        pause: pauses the gate.
    """

    def __init__(self, pause: Callable[[], None]) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._current: str | None = None
        self._asked = False

    @property
    def asked(self) -> bool:
        """Whether the gate is to be paused when the current job has ended."""
        return self._asked

    def ask(self) -> None:
        """Pause after the current job; at once where there is none."""
        with self._lock:
            self._asked = self._current is not None
            if not self._asked:
                self._pause()

    def undo(self) -> None:
        """Go on after it."""
        self._asked = False

    def about_to_start(self, job_id: str) -> None:
        """The gate is going to be asked about this job: one that is not the current one must not start."""
        with self._lock:
            if job_id != self._current:
                self._over()

    def started(self, job_id: str) -> None:
        """It is the current one, also while it waits for another try."""
        with self._lock:
            self._current = job_id

    def ended(self, job_id: str) -> None:
        """It has come to its end."""
        with self._lock:
            if job_id == self._current:
                self._over()

    def nothing_waits(self) -> None:
        """Nothing runs and the queue is empty."""
        with self._lock:
            self._over()

    def _over(self) -> None:
        self._current = None
        if self._asked:
            self._asked = False
            self._pause()

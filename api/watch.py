"""Who watches: leases that a panel renews while it is open. Without one nothing is pushed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LEASE = 30.0
"""Seconds a lease lasts. Panels renew it every 15 s, so one lost request does not end it."""

MAX_WATCHERS = 256
"""Leases at a time; a client that invents ids must not fill the memory."""


class Watchers:
    """The clients that asked for events. Any thread.

    Args:
        changed: called with True when the first one comes and False when the last one is found gone.
    """

    def __init__(
        self, changed: Callable[[bool], None] = lambda watched: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self.ever = False
        """Whether anybody has watched since the start."""

    def renew(self, client: str) -> None:
        """Give `client` a lease of `LEASE` seconds from now."""
        self.ever = True
        with self._lock:
            first = not self._until
            if client in self._until or len(self._until) < MAX_WATCHERS:
                self._until[client] = self._clock() + LEASE
        if first:
            self._changed(True)

    def current(self) -> list[str]:
        """Clients whose lease has not run out."""
        if not self._until:
            return []
        now = self._clock()
        with self._lock:
            before = bool(self._until)
            self._until = {c: t for c, t in self._until.items() if t > now}
            found = list(self._until)
        if before and not found:
            self._changed(False)
        return found

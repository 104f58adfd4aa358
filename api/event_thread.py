"""Events that take a look into the journal are put together on a thread of their own: no prompt waits for it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

WAITING = 1000
"""News that may wait; what comes above it is dropped, and the next event brings a panel up to date."""

STOP_TIMEOUT = 2.0
"""Seconds for what is being sent."""

News = TypeVar("News")


class EventThread(Generic[News]):
    """Hands news to `send`, in their order.

    Args:
        send: called on the thread; what it raises is logged once.
    """

    def __init__(self, send: Callable[[News], None]) -> None:
        self._send = send
        self._waiting: queue.Queue[News | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._loop, name="resource-gate-events", daemon=True)
        self._told = False

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, if that takes no longer than a moment, and end."""
        if self._thread.is_alive():
            self.put(None)
            self._thread.join(STOP_TIMEOUT)

    def put(self, news: News | None) -> None:
        """Send it soon. Any thread; never blocks."""
        try:
            self._waiting.put_nowait(news)
        except queue.Full:
            log.debug("an event is dropped: %d wait", WAITING)

    def _loop(self) -> None:
        while (news := self._waiting.get()) is not None:
            try:
                self._send(news)
            except Exception:  # the boundary of the thread: the next event may go well
                if not self._told:
                    self._told = True
                    log.exception("an event could not be sent (told once)")

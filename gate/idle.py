"""After a while without a prompt, what can be given back is, so that other programs have it. Off by default."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..monitor.readings import Sample
from ..settings import Settings
from .host import QueueHost


class IdleRelease:
    """A listener of samples: frees once after `reclaim.idle_minutes` without a prompt, and not again before the next.

    Args:
        free: frees all it can on the worker, without waiting for it; told why.
    """

    def __init__(
        self,
        host: QueueHost,
        settings: Callable[[], Settings],
        free: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._settings = settings
        self._free = free
        self._clock = clock
        self._idle_since: float | None = None
        self._freed = True  # nothing has run yet, so there is nothing to give back

    def on_sample(self, sample: Sample) -> None:
        """Look. On the sampler's thread."""
        view = self._host.view()
        if view.running or view.pending:
            self._idle_since, self._freed = None, False
            return
        now = self._clock()
        if self._idle_since is None:
            self._idle_since = now
        minutes = self._settings().reclaim.idle_minutes
        if minutes and not self._freed and now - self._idle_since >= minutes * 60:
            self._freed = True
            self._free(f"no prompt for {minutes:g} minutes")

"""What a server's memory does while a job runs there: told for the progress view, kept for the job's result."""

from __future__ import annotations

import time

from ..errors import ClientError, ServerGone, ServerSilent
from .events import Tell, event
from .health import Health
from .server import Server

EVERY = 1.0
"""Seconds between two looks while a job runs: a status costs a server half a millisecond."""


class MemoryWatch:
    """Looks at one server's memory for one job.

    Args:
        server: whose.
        tell: hears a `memory` event at every look.
    """

    def __init__(self, server: Server, tell: Tell) -> None:
        self._server = server
        self._tell = tell
        self._next = 0.0
        self._began = time.time()
        self.last: Health | None = None
        self.peak_ram: int | None = None
        self.peak_vram: dict[str, int] = {}
        self.expected_ram: int | None = None
        self.actions: dict[float, str] = {}
        """By the time each was done."""

    def look(self) -> Health:
        """Ask now.

        Raises:
            ClientError: the server does not answer, or not sensibly.
        """
        found = self._server.health()
        self._next = time.monotonic() + EVERY
        self._take(found)
        return found

    def look_if_due(self) -> Health | None:
        """Ask where the last look is a while ago; return the last answer. A server that answers nonsense is skipped.

        Raises:
            ServerGone, ServerSilent: as their names say.
        """
        if time.monotonic() >= self._next:
            try:
                return self.look()
            except (ServerGone, ServerSilent):
                raise
            except ClientError:
                self._next = time.monotonic() + EVERY
        return self.last

    def _take(self, found: Health) -> None:
        first = self.last is None
        self.last = found
        if found.used is not None and found.limit:
            self._tell(
                event(
                    "memory",
                    server=self._server.name,
                    used=found.used,
                    limit=found.limit,
                    fraction=found.used / found.limit,
                    level=found.level,
                    tiers=dict(found.tiers),
                )
            )
            self.peak_ram = max(self.peak_ram or 0, found.used)
        for name, used in found.vram.items():
            self.peak_vram[name] = max(self.peak_vram.get(name, 0), used)
        action = found.action
        # The server's clock is not ours: what was there at the first look was not done for this job.
        if action and first:
            self._before = action.get("time")
        elif action and action.get("time") != self._before:
            self.actions[float(action.get("time") or 0.0)] = str(action.get("text") or "")

    _before: object = None

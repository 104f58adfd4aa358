"""Which machines are there: by the looks they tell of, and by what the scheduler says of their workers."""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from distributed import Client

from ...reclaim.action import Cause
from ...version import __version__
from .machine import ILL, Reading
from .messages import Left, Message, Seen
from .worker_side import LOOKS

WATCH = 1.0
"""Seconds between two questions to the scheduler which workers there are."""
SILENT = 30.0
"""Seconds without a look of a machine (they come every two) after which it counts as gone: switched off, or cut off."""

log = logging.getLogger(__name__)


class Attendance:
    """Tells the dispatcher who comes and who leaves. Use as a context manager.

    Args:
        client: of the cluster.
        inbox: the dispatcher's.
        gone: is called with the address of a worker that will not answer any more, and why.
        heard: is called with the address of each worker that is heard of.
        names: the only machines that count; None: all that come.
    """

    def __init__(
        self,
        client: Client,
        inbox: queue.Queue[Message],
        gone: Callable[[str, str], None],
        heard: Callable[[str], None],
        *,
        names: frozenset[str] | None = None,
        silent: float = SILENT,
        watch: float = WATCH,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._inbox, self._gone, self._heard, self._names = client, inbox, gone, heard, names
        self._silent, self._interval, self._clock = silent, watch, clock
        self._addresses: dict[str, tuple[str, float]] = {}
        """Machine → address of its worker, and when it was last heard of."""
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="resource-gate-workers", daemon=True)

    def __enter__(self) -> Attendance:
        self._client.subscribe_topic(LOOKS, self._looked)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._watcher.join(self._interval * 5)

    def address(self, machine: str) -> str:
        """Address of its worker; empty where it is gone."""
        return self._addresses.get(machine, ("", 0.0))[0]

    def _looked(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Called in the client's event loop."""
        _, told = event
        name, address = told["machine"], told["address"]
        if self._names is not None and name not in self._names:
            return
        try:
            reading = Reading.from_dict(told["reading"])
        except (KeyError, TypeError):
            reading = Reading(time.time(), ILL)
        if told["version"] != __version__:
            why = f"it runs Resource Gate {told['version']}, this is {__version__}: install the same version there"
            versions = {"code": "version", "theirs": str(told["version"]), "ours": __version__}
            reading = dataclasses.replace(reading, state=ILL, reason=why, cause=versions)
        before = self.address(name)
        self._addresses[name] = address, self._clock()
        if before and before != address:
            self._gone(before, "its worker process ended, and another one took its place")
        self._heard(address)
        self._inbox.put(Seen(name, told["url"], reading))

    def _watch(self) -> None:
        while not self._ending.wait(self._interval):
            try:
                there = set(self._client.nthreads())
            except Exception as error:  # a thread's boundary: the scheduler may be gone for a while
                log.debug("the scheduler does not answer", exc_info=error)
                there = None
            for name, (address, heard) in list(self._addresses.items()):
                if there is not None and address not in there:
                    self._leave(name, address, "its worker process ended, or its connection broke", {"code": "ended"})
                elif self._clock() - heard > self._silent:
                    why = f"it has not been heard of for {self._silent:.0f} s"
                    self._leave(name, address, why, {"code": "silent", "seconds": self._silent})

    def _leave(self, name: str, address: str, reason: str, cause: Cause) -> None:
        if self.address(name) == address:
            del self._addresses[name]
            self._inbox.put(Left(name, reason, cause))
        self._gone(address, reason)

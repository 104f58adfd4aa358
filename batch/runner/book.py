"""What a runner's events leave in the journal, on their way to who shows them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from .events import Tell
from .journal import Journal


class Book:
    """Writes down what must survive the runner, then passes each event on. Any thread.

    Args:
        show: the progress view; called by one thread at a time.
    """

    def __init__(self, journal: Journal, show: Tell) -> None:
        self._journal = journal
        self._show = show
        self._one = threading.Lock()
        self._tiers: Mapping[str, Any] | None = None

    def tell(self, said: Mapping[str, Any]) -> None:
        """Take an event (see `events.event`)."""
        kind = said["event"]
        if kind == "submitted":
            self._journal.submitted(said["index"], said["attempt"], said["id"], said["server"])
            return  # for the journal alone
        if kind == "memory":
            self._sample(said)
        with self._one:
            self._show(said)

    def _sample(self, said: Mapping[str, Any]) -> None:
        self._journal.sample(said["time"], said["server"], said["used"], said["limit"], said["fraction"])
        tiers = said.get("tiers")
        if tiers and tiers != self._tiers:
            self._tiers = tiers
            self._journal.set_meta(tiers=tiers)

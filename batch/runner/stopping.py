"""How a batch is told to stop: Ctrl-C once, twice, SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class StoppedNow(Exception):  # noqa: N818 - it names what happened, as a person would
    """The batch is to stop at once; raised on the thread that works."""


class Stopping:
    """Two wishes, set by signals or by hand.

    Attributes:
        finish: start no further job; those that run may end.
        now: take the running prompts off their servers and return. Sets `finish`, too.
    """

    def __init__(self) -> None:
        self.finish = threading.Event()
        self.now = threading.Event()

    def ask(self) -> str:
        """Ask to stop: the first time after the running jobs, from the second on at once. Returns what that means."""
        if not self.finish.is_set():
            self.finish.set()
            return "Stopping after the running job; once more to stop now."
        return self.at_once()

    def at_once(self) -> str:
        """Ask to stop at once. Returns what that means."""
        self.finish.set()
        self.now.set()
        return "Stopping now: the running job is taken off its server and stays to be done."


class StopSignals:
    """While the block runs, SIGINT asks `stopping`, and SIGTERM (Windows: Ctrl-Break) stops at once. Main thread only.

    Args:
        told: takes the line that says what the signal means. Called inside a signal handler.
    """

    def __init__(self, stopping: Stopping, told: Callable[[str], None]) -> None:
        self._stopping = stopping
        self._told = told
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        for number in (
            signal.SIGINT,
            signal.SIGTERM,
            getattr(signal, "SIGBREAK", None),
            getattr(signal, "SIGHUP", None),
        ):
            if number is not None:
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        said = self._stopping.ask() if number == signal.SIGINT else self._stopping.at_once()
        self._told(said)

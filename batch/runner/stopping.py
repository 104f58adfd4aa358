"""How a batch is told to stop: Ctrl-C once, twice, SIGTERM."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from typing import Any

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Those that this system has."""


class StoppedNow(Exception):  # noqa: N818 - it names what happened, as a person would
    """The batch is to stop at once; raised on the thread that works."""


class Stop(threading.Event):
    """Set: the job that runs is to stop. Its prompt is taken off the server, unless it is let go of."""

    leaves = False
    """Whether the prompt stays at its server, for who asks for it next."""

    def let_go(self) -> None:
        """Stop, and leave the prompt where it is."""
        self.leaves = True
        self.set()


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

    So does SIGHUP, by which a terminal that is closed ends what runs in it; unless it is ignored, as `nohup` has it.

    A handler only notes that it was called: it runs between any two steps of the main thread, another one inside it
    too, and must wait for no lock that the interrupted step may hold. `heed` does the rest.

    Args:
        told: takes the line that says what a signal means.
    """

    def __init__(self, stopping: Stopping, told: Callable[[str], None]) -> None:
        self._stopping = stopping
        self._told = told
        self._before: dict[int, Any] = {}
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put() may be interrupted by another put()

    def __enter__(self) -> StopSignals:
        for name in SIGNALS:
            number = getattr(signal, name, None)
            nohup = name == "SIGHUP" and number is not None and signal.getsignal(number) is signal.SIG_IGN
            if number is not None and not nohup:
                self._before[number] = signal.signal(number, lambda number, _: self._asked.put(number))
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def heed(self) -> None:
        """Act on what came since the last call."""
        while not self._asked.empty():
            number = self._asked.get()
            said = self._stopping.ask() if number == signal.SIGINT else self._stopping.at_once()
            self._told(said)

"""Readers that may be slow or hang, each on a daemon thread of its own; the sampler takes what is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
PATIENCE = 10.0
"""Seconds after which a call that has not come back counts as hung."""


class HungError(Exception):
    """A reader has not come back."""


class Aside(Generic[T]):
    """Runs `read` on its own thread when asked, at most one call at a time.

    Args:
        name: of the thread.
        read: may take as long as it likes, and raise.
        every: least seconds from one call's start to the next.
        empty_every: the same after a call that told of nothing (an empty value): what is not there seldom comes.
        share: of one core that the calls may use; a dearer reader is asked less often.
        wait: seconds that `take` may wait for the call just asked for; not again after one that took longer.
        patience: seconds after which the call counts as hung.
        clock: monotonic seconds.
        cpu: CPU seconds of the calling thread.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], T],
        *,
        every: float = 0.0,
        empty_every: float = 0.0,
        share: float = 0.01,
        wait: float = 0.0,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._name, self._read, self._clock, self._cpu = name, read, clock, cpu
        self._every, self._empty_every, self._share = every, empty_every, share
        self._wait, self._patience = wait, patience
        self._lock = threading.Lock()
        self._asked, self._answered = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._began: float | None = None
        self._due = float("-inf")
        self._prompt = True
        self._value: T | None = None
        self._told_at: float | None = None
        self._error: Exception | None = None

    def ask(self) -> None:
        """Have it read now, unless it is reading already or was asked too short a time ago."""
        with self._lock:
            now = self._clock()
            if self._began is not None or now < self._due:
                return
            self._began, self._due = now, now + self._every
            self._stopped = False
            self._answered.clear()
            self._asked.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"resource-gate {self._name}", daemon=True)
                self._thread.start()

    def settle(self) -> None:
        """Wait a moment for the call that is under way, where it was prompt until now."""
        if self._wait > 0 and self._prompt and self._began is not None and not self._answered.wait(self._wait):
            self._prompt = False

    def take(self) -> T | None:
        """Return what it told last, None before the first time. Never waits.

        Raises:
            HungError: the call under way has not come back for `patience` seconds.
            Exception: what the last call raised, once.
        """
        with self._lock:
            if self._began is not None and self._clock() - self._began >= self._patience:
                self._prompt = False
                self._value = None
                raise HungError(f"no answer for {self._patience:.0f} s")
            error, self._error = self._error, None
            if error is not None:
                raise error
            return self._value

    @property
    def age(self) -> float | None:
        """Seconds since it last told; None before the first time."""
        return None if self._told_at is None else self._clock() - self._told_at

    def stop(self) -> None:
        """Let the thread end once the call under way is back; `ask` starts it anew."""
        self._stopped = True
        self._asked.set()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            with self._lock:
                if self._stopped:
                    self._thread, self._began = None, None
                    return
            self._once()

    def _once(self) -> None:
        value, error = None, None
        cpu = self._cpu()
        try:
            value = self._read()
        except Exception as raised:  # noqa: BLE001 - handed to the sampler, which drops the reader
            error = raised
        cpu = self._cpu() - cpu
        with self._lock:
            now, began = self._clock(), self._began
            self._value, self._error = value, error
            if error is None:
                self._told_at = now
            if began is not None:
                rest = max(cpu / self._share, 0.0 if value or error is not None else self._empty_every)
                self._due = max(self._due, began + rest)
                self._prompt = now - began < max(self._wait, 1e-3)
            self._began = None
        self._answered.set()

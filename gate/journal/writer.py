"""The thread that brings the journal onto the disk behind the prompts' backs, many of them at a time."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from .store import JournalStore

log = logging.getLogger(__name__)

GATHER = 0.1
"""Seconds after which what was told is on the disk, safe from a power cut: in `journal.redo`, with all that came
meanwhile by one sync."""

FILE_EVERY = 5.0
"""Seconds between two transactions while prompts come and go; SQLite takes what there is once none does for `GATHER`.
A prompt that comes and goes within that time costs one statement in place of three (`journal_fold`)."""

LONGEST_WAIT = 5.0
"""Seconds that an answer waits for a disk at the most."""


class JournalWriter:
    """Writes what a `JournalStore` keeps back, and tells who waits for the disk.

    Any thread; `on_disk` on an event loop.

    Args:
        store: told to `write_behind` here.
        sync_each: have the store bring each prompt onto the disk at once.
    """

    def __init__(
        self, store: JournalStore, *, sync_each: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._clock = clock
        self._wake = threading.Event()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._thread: threading.Thread | None = None
        if store.write_behind(self._wake.set, sync_each=sync_each):
            self._thread = threading.Thread(target=self._run, name="resource-gate-journal", daemon=True)
            self._thread.start()

    async def on_disk(self) -> None:
        """Wait until what the journal was told so far is on the disk, or cannot be brought there."""
        if not self._store.unsynced or self._thread is None or not self._thread.is_alive():
            return
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            self._waiting.append((loop, future))
        self._wake.set()
        late = loop.call_later(LONGEST_WAIT, _tell, [future])
        await future
        late.cancel()

    def stop(self) -> None:
        """Write no more behind; what is kept back is written when the store is closed."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(GATHER * 10)

    def _run(self) -> None:
        last = self._clock()
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            try:
                self._answer()
                while self._store.kept_back and not self._stopping:
                    number = self._store.number
                    if self._wake.wait(GATHER):
                        self._wake.clear()
                        self._answer()
                        if not self._store.much:
                            continue
                    self._store.sync()
                    still = self._store.number == number
                    if not still and not self._store.much and 0 <= self._clock() - last < FILE_EVERY:
                        continue
                    self._store.drain()
                    last = self._clock()
                    if self._store.problem is not None:
                        break  # the store says when it is to be tried again; `Journal.memory` asks
            except Exception:  # a thread's boundary: from here on the store writes by itself
                log.exception("the journal is written at once from here on")
                self._store.write_at_once()
                self._answer()
                return
        self._answer()

    def _answer(self) -> None:
        """For all who wait, one sync."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        self._store.sync()
        for loop in {loop for loop, _ in waiting}:
            futures = [future for its, future in waiting if its is loop]
            try:
                loop.call_soon_threadsafe(_tell, futures)
            except RuntimeError:  # the loop has ended, and with it who waited
                continue


def _tell(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():  # its client may be gone
            future.set_result(None)

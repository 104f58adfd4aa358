"""The journal's file in use: one connection, short synced transactions, and what to do when the disk takes none."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .journal_lock import JournalLock, Taken
from .journal_schema import FILE, Newer, is_damage, open_journal, put_aside

log = logging.getLogger(__name__)

Statement = tuple[str, tuple[Any, ...]]

TRY_AGAIN = 5.0
"""Seconds after a failed write before the next: each may wait `BUSY` seconds for a lock, on the event loop."""

BACKLOG = 10_000
"""Statements kept in memory while the disk takes none; the oldest are given up."""


class JournalStore:
    """Any thread. Nothing of it raises for want of a disk; `problem` tells instead.

    What cannot be written now (disk full, locked) is kept in order and written as soon as it can be.
    """

    def __init__(self, folder: Path, wall: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._wall = wall
        self._clock = clock
        self._lock = threading.RLock()
        self._file_lock = JournalLock(folder)
        self._connection: sqlite3.Connection | None = None
        self._backlog: deque[Statement] = deque(maxlen=BACKLOG)
        self._rest_until = 0.0
        self._lost = 0
        self.problem: str | None = None
        """Why it does not, or not wholly, keep what is written; None where all is well."""

    @property
    def is_open(self) -> bool:
        """Whether there is a file to write to."""
        return self._connection is not None

    @property
    def process_before(self) -> int | None:
        """The id of the process that kept it last."""
        return self._file_lock.before

    @property
    def behind(self) -> bool:
        """Whether something waits to be written, or what came last could not be done."""
        return self.is_open and (bool(self._backlog) or self.problem is not None)

    def open(self) -> bool:
        """Lock the folder, open or make the file; tells whether there is one."""
        with self._lock:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file_lock.take()
                self._connection = open_journal(self._folder, self._wall)
            except Taken as error:
                self.off(f"{error}; start it with another --user-directory to keep a second one")
            except Newer as error:
                self.off(str(error))
            except (OSError, sqlite3.Error) as error:
                self.off(f"{self._folder / FILE} cannot be used ({error})")
            return self.is_open

    def off(self, reason: str) -> None:
        """Go on without a journal, and say so."""
        with self._lock:
            self._close_connection()
            self._file_lock.release()
            self.problem = reason
        log.error("the journal is off: %s. Prompts run; after a crash they are not restored", reason)

    def close(self) -> None:
        """Close the file and let another process have it."""
        with self._lock:
            self._close_connection()
            self._file_lock.release()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows; none where there is no journal."""
        with self._lock:
            if self._connection is None:
                return []
            try:
                return self._connection.execute(sql, tuple(map(_storable, values))).fetchall()
            except sqlite3.Error as error:
                self._failed(error, [])
                return []

    def write(self, statements: Sequence[Statement]) -> None:
        """All of them in one synced transaction, behind those that could not be written before."""
        with self._lock:
            if self._connection is None:
                return
            if self._backlog or self.problem:
                self._lost += max(0, len(self._backlog) + len(statements) - BACKLOG)
                self._backlog.extend(statements)
                if self._clock() < self._rest_until:
                    return
                statements = list(self._backlog)
            try:
                self._commit(self._connection, statements)
            except sqlite3.Error as error:
                self._failed(error, statements)
                return
            self._backlog.clear()
            if self.problem is not None:
                self.problem = None
                missing = (
                    f"{self._lost} entries of the time between are missing" if self._lost else "nothing is missing"
                )
                log.warning("the journal is kept again; %s", missing)
                self._lost = 0

    def _commit(self, connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, values in statements:
                connection.execute(sql, tuple(map(_storable, values)))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _failed(self, error: sqlite3.Error, statements: Sequence[Statement]) -> None:
        self._rest_until = self._clock() + TRY_AGAIN
        if not self._backlog:
            self._backlog.extend(statements)
        if self.problem is None:
            self.problem = f"{self._folder / FILE} cannot be written ({error}); prompts run on, tried again every 5 s"
            log.error("the journal is behind: %s. A crash now would lose what is queued from here on", self.problem)
        if is_damage(error) and self._connection is not None:
            self._close_connection()
            try:
                put_aside(self._folder / FILE, error, self._wall)
                self._connection = open_journal(self._folder, self._wall)
            except (OSError, sqlite3.Error) as second:
                self.off(f"{self._folder / FILE} cannot be begun anew ({second})")

    def _close_connection(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


def _storable(value: Any) -> Any:
    """Half a surrogate pair, which JSON can carry, is no text to SQLite: it would refuse the whole transaction."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value

"""The journal's file in use: one connection, synced transactions, and what to do when the disk takes none.

A statement is at once in one synced transaction, or, after `write_behind`, at once in `journal.redo` and soon after in
a transaction with others. Either way it has survived a kill −9 of the process when `write` returns.
"""

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
from .journal_redo import FILE as REDO
from .journal_redo import Redo, Statement
from .journal_schema import FILE, Newer, is_damage, open_journal, put_aside

log = logging.getLogger(__name__)

TRY_AGAIN = 5.0
"""Seconds after a failed write before the next: each may wait `BUSY` seconds for a lock, on the event loop."""

BACKLOG = 10_000
"""Statements kept in memory while the disk takes none; the oldest are given up."""

APPLIED = "UPDATE applied SET number = ?"


class JournalStore:
    """Any thread. Nothing of it raises for want of a disk; `problem` tells instead.

    What cannot be written now (disk full, locked) is kept in order and written as soon as it can be.
    """

    def __init__(self, folder: Path, wall: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._wall = wall
        self._clock = clock
        self._lock = threading.RLock()
        """Held while the file is used, up to a sync; never waited for by who holds the other."""
        self._short = threading.RLock()
        """Held for microseconds: around what is kept back."""
        self._redo: Redo | None = None
        self._wake: Callable[[], None] | None = None
        self._sync_each = False
        self._unsynced = False
        self._file_lock = JournalLock(folder)
        self._connection: sqlite3.Connection | None = None
        self._backlog: deque[Statement] = deque(maxlen=BACKLOG)
        """What the file does not hold yet, in order."""
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
        """Whether what came last could not be done, or something waits that nobody is about to write."""
        return self.is_open and (self.problem is not None or (self._wake is None and bool(self._backlog)))

    def open(self) -> bool:
        """Lock the folder, open or make the file; tells whether there is one."""
        with self._lock:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file_lock.take()
                self._connection = open_journal(self._folder, self._wall)
                self._take_over()
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
        """Write what is kept back, close the file and let another process have it."""
        with self._lock:
            self.write_at_once()
            if self._redo is not None:
                self._redo.close()
                self._redo = None
            self._close_connection()
            self._file_lock.release()

    def write_behind(self, wake: Callable[[], None], *, sync_each: bool) -> bool:
        """From now on keep statements back in `journal.redo`; tells whether that can be done.

        `wake`: called for the first of them.

        `sync_each`: bring each onto the disk at once, because nobody waits for `sync` before a client is answered.
        """
        with self._lock, self._short:
            if self._connection is None or not self._has_redo():
                return False
            self._wake, self._sync_each = wake, sync_each
            return True

    def write_at_once(self) -> None:
        """From now on keep nothing back."""
        with self._lock:
            with self._short:
                self._wake = None
            self.drain()

    @property
    def kept_back(self) -> bool:
        """Whether the file does not hold everything yet."""
        return bool(self._backlog)

    @property
    def unsynced(self) -> bool:
        """Whether a power cut could take something that was written."""
        return self._unsynced

    def sync(self) -> None:
        """Bring what is kept back onto the disk, where it is safe from a power cut too."""
        redo = self._redo
        if redo is None or not self._unsynced:
            return
        self._unsynced = False  # before: what comes meanwhile asks again
        try:
            redo.sync()
        except (OSError, ValueError) as error:  # closed meanwhile, or a disk that fails: SQLite will say more
            log.warning("the journal could not be brought onto the disk (%s); it is written into the file now", error)
            self.drain()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows, as of now; none where there is no journal."""
        with self._lock:
            if self._backlog and self.problem is None:
                self.drain()
            if self._connection is None:
                return []
            try:
                return self._connection.execute(sql, tuple(map(_storable, values))).fetchall()
            except sqlite3.Error as error:
                self._failed(error)
                return []

    def write(self, statements: Sequence[Statement]) -> None:
        """Keep all of them, behind those before; when this returns a kill −9 does not take them any more."""
        if self._connection is None:
            return
        with self._short:
            wake, idle = self._wake, not self._backlog
            if wake is not None and statements and self._keep_back(statements):
                if idle:  # else the writer is about to look: to wake it each time costs more than all the rest
                    wake()
                return
        with self._lock:
            self._enqueue(statements)
            self.drain()

    def drain(self) -> None:
        """Write all that waits into the file, in one synced transaction; unless that failed a moment ago."""
        with self._lock:
            if self._connection is None or (self.problem is not None and self._clock() < self._rest_until):
                return
            with self._short:
                count, number = len(self._backlog), 0 if self._redo is None else self._redo.number
                statements = list(self._backlog)
            if not count and self.problem is None:
                return
            try:
                self._commit(self._connection, [*statements, (APPLIED, (number,))] if number else statements)
            except sqlite3.Error as error:
                self._failed(error)
                return
            self._written(count)

    def _written(self, count: int) -> None:
        with self._short:
            for _ in range(min(count, len(self._backlog))):
                self._backlog.popleft()
            if not self._backlog:
                self._unsynced = False
                if self._redo is not None:
                    self._redo.begin_again()
        if self.problem is not None:
            self.problem = None
            missing = f"{self._lost} entries of the time between are missing" if self._lost else "nothing is missing"
            log.warning("the journal is kept again; %s", missing)
            self._lost = 0

    def _keep_back(self, statements: Sequence[Statement]) -> bool:
        if self._redo is None or len(self._backlog) + len(statements) > BACKLOG:
            return False
        statements = [(sql, tuple(map(_storable, values))) for sql, values in statements]
        if not self._redo.append(statements):
            return False
        self._backlog.extend(statements)
        self._unsynced = True
        if self._sync_each:
            self.sync()
        return True

    def _enqueue(self, statements: Sequence[Statement]) -> None:
        with self._short:
            self._lost += max(0, len(self._backlog) + len(statements) - BACKLOG)
            self._backlog.extend(statements)

    def _take_over(self) -> None:
        """Write what a process that died had kept back."""
        if not (self._folder / REDO).exists() or not self._has_redo() or self._redo is None:
            return
        applied = self.read("SELECT number FROM applied")
        left = self._redo.left(int(applied[0][0]) if applied else 0)
        if left:
            self._enqueue(left)
            self.drain()
            log.info("took over %d entries of the journal that a process which died had not written yet", len(left))

    def _has_redo(self) -> bool:
        if self._redo is None:
            try:
                self._redo = Redo(self._folder)
            except (OSError, ValueError) as error:
                log.warning("the journal is written at once, which takes longer: %s", error)
        return self._redo is not None

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

    def _failed(self, error: sqlite3.Error) -> None:
        self._rest_until = self._clock() + TRY_AGAIN
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

"""The journal's file in use: one connection, synced transactions, and what to do when the disk takes none.

A statement is at once in one synced transaction, or, after `write_behind`, at once in `journal.redo` and soon after in
a transaction with others. Either way it has survived a kill −9 of the process when `write` returns.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from .fold import folded
from .kept import BACKLOG, KeptBack
from .lock import JournalLock, Taken
from .redo import FILE as REDO
from .redo import Statement
from .schema import FILE, Newer, is_damage, open_journal, put_aside

log = logging.getLogger(__name__)

TRY_AGAIN = 5.0
"""Seconds after a failed write before the next: each may wait `BUSY` seconds for a lock, on the event loop."""

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
        """Held while the file is used, up to a sync."""
        self._kept = KeptBack(folder)
        self._file_lock = JournalLock(folder)
        self._connection: sqlite3.Connection | None = None
        self._rest_until = 0.0
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
        return self.is_open and (self.problem is not None or (bool(self._kept) and not self._kept.behind))

    def open(self) -> bool:
        """Lock the folder, open or make the file; tells whether there is one."""
        with self._lock:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file_lock.take()
                self._connection = open_journal(self._folder, self._wall)
                if self._kept.exists():
                    self._open_kept()
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
            self._kept.close()
            self._close_connection()
            self._file_lock.release()

    def write_behind(self, wake: Callable[[], None], *, sync_each: bool) -> bool:
        """From now on keep statements back; tells whether that can be done.

        Args:
            wake: called for the first of them; then somebody is to call `drain`.
            sync_each: bring each onto the disk at once.
        """
        with self._lock:
            if self._connection is None or not (self._kept.opened or self._open_kept()):
                return False
            self._kept.begin(wake, sync_each=sync_each)
            return True

    def write_at_once(self) -> None:
        """From now on keep nothing back."""
        with self._lock:
            self._kept.end()
            self.drain()

    @property
    def kept_back(self) -> bool:
        """Whether the file does not hold everything yet."""
        return bool(self._kept)

    @property
    def much(self) -> bool:
        """Whether that is so much that it should be written soon."""
        return self._kept.much

    @property
    def number(self) -> int:
        """Of what was kept back last; while it grows, prompts come and go."""
        return self._kept.number

    @property
    def unsynced(self) -> bool:
        """Whether a power cut could take something that was written."""
        return self._kept.unsynced

    def sync(self) -> None:
        """Bring what is kept back onto the disk, where it is safe from a power cut too."""
        if self._kept.unsynced and not self._kept.sync():
            self.drain()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows, as of now; none where there is no journal."""
        with self._lock:
            if self._kept and self.problem is None:
                self.drain()
            if self._connection is None:
                return []
            try:
                if self._kept and self.problem is not None:
                    return self._read_as_told(self._connection, sql, values)
                return _execute(self._connection, sql, values).fetchall()
            except sqlite3.Error as error:
                self._failed(error)
                return []

    def write(self, statements: Sequence[Statement]) -> None:
        """Keep all of them, behind those before; when this returns a kill −9 does not take them any more."""
        if self._connection is None or (statements and self._kept.keep(statements)):
            return
        with self._lock:
            for begin in range(0, max(1, len(statements)), BACKLOG):
                part = statements[begin : begin + BACKLOG]
                if len(self._kept) + len(part) > BACKLOG:  # a long queue is cleared: what was told before goes first
                    self.drain()
                self._kept.add(part)
                self.drain()

    def drain(self) -> None:
        """Write all that waits into the file, in one synced transaction; unless that failed a moment ago."""
        with self._lock:
            if self._connection is None or (self.problem is not None and self._clock() < self._rest_until):
                return
            statements, number = self._kept.look()
            if not statements and self.problem is None:
                return
            applied = [(APPLIED, (number,))] if number else []
            try:
                self._commit(self._connection, [*folded(statements), *applied])
            except sqlite3.Error as error:
                self._failed(error)
                return
            self._kept.written(len(statements))
            if self.problem is not None:
                lost, self._kept.lost, self.problem = self._kept.lost, 0, None
                missing = f"{lost} entries of the time between are missing" if lost else "nothing is missing"
                log.warning("the journal is kept again; %s", missing)

    def _open_kept(self) -> bool:
        """Read what a process that died had kept back, and write it; tells whether statements can be kept back."""
        applied = self.read("SELECT number FROM applied")
        try:
            left = self._kept.open(int(applied[0][0]) if applied else 0)
        except (OSError, ValueError) as error:
            log.warning("the journal is written at once, which takes longer: %s", error)
            return False
        if left:
            self.drain()
            log.info("took over %d entries of the journal that a process which died had not written yet", left)
        return True

    def _read_as_told(self, connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Rows as they are once the file holds what it cannot take now.

        A job that has ended must not be restored because the disk is full.
        """
        statements = folded(self._kept.look()[0])
        try:
            return _tried(connection, statements, sql, values)
        except sqlite3.OperationalError:  # another has it locked: in memory, whatever its size
            with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
                connection.backup(copy)
                return _tried(copy, statements, sql, values)

    def _commit(self, connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for error in _execute_all(connection, statements):
                log.warning("an entry that the journal cannot take is left out: %s", error)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _failed(self, error: sqlite3.Error) -> None:
        self._rest_until = self._clock() + TRY_AGAIN
        if self.problem is None:
            self.problem = f"{self._folder / FILE} cannot be written ({error}); prompts run on, tried again every 5 s"
            meanwhile = (
                f"{REDO} keeps what is queued from here on, until it is full"
                if self._kept.behind
                else "A crash now would lose what is queued from here on"
            )
            log.error("the journal is behind: %s. %s", self.problem, meanwhile)
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


def _tried(
    connection: sqlite3.Connection, statements: Sequence[Statement], sql: str, values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Rows after these statements, of which nothing stays."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        list(_execute_all(connection, statements))
        return _execute(connection, sql, values).fetchall()
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _execute_all(connection: sqlite3.Connection, statements: Sequence[Statement]) -> Iterator[Exception]:
    """Execute them, but for those that are wrong by themselves, and would be so for ever: yields what is wrong.

    Those behind one of these must not wait for it.
    """
    for sql, values in statements:
        try:
            _execute(connection, sql, values)
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError) as error:
            yield error


def _execute(connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
    try:
        return connection.execute(sql, values)
    except UnicodeEncodeError:
        # Half a surrogate pair, which JSON can carry, is no text to SQLite: it would refuse the whole transaction.
        return connection.execute(
            sql, [v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in values]
        )

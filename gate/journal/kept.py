"""Statements that the journal's file does not hold yet: in memory, in their order, and most of them in `Redo` too."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from .redo import FILE, Redo, Statement

log = logging.getLogger(__name__)

BACKLOG = 10_000
"""Statements kept while the disk takes none; the oldest are given up."""

MANY = 4_000
"""Statements from which on it is time to write them, however short a time ago that was done last."""

FULL = 0.5
"""Share of the redo file from which on it is, too."""


class KeptBack:
    """Any thread; each call takes microseconds but `sync` and `open`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._statements: deque[Statement] = deque(maxlen=BACKLOG)
        self._redo: Redo | None = None
        self._wake: Callable[[], None] | None = None
        self._sync_each = False
        self._synced = 0
        self._was_much = False
        self.lost = 0
        """Statements that were given up since the last `written`."""

    def __len__(self) -> int:
        return len(self._statements)

    @property
    def opened(self) -> bool:
        """Whether there is a redo file."""
        return self._redo is not None

    @property
    def behind(self) -> bool:
        """Whether somebody writes what is kept, behind the backs of those who told it."""
        return self._wake is not None

    @property
    def much(self) -> bool:
        """Whether it is so much that it should be written soon."""
        redo = self._redo
        return len(self._statements) > MANY or (redo is not None and redo.filled > FULL)

    @property
    def number(self) -> int:
        """Of the last record; grows with each that is kept."""
        return 0 if self._redo is None else self._redo.number

    @property
    def unsynced(self) -> bool:
        """Whether a power cut could take something of it."""
        redo = self._redo
        return redo is not None and redo.number > self._synced

    def exists(self) -> bool:
        """Whether an earlier process has left its file."""
        return (self._folder / FILE).exists()

    def open(self, applied: int) -> int:
        """Make or read the redo file; what SQLite, which holds all up to number `applied`, lacks of it is kept.

        Tells how many statements that is.

        Raises:
            OSError, ValueError: it cannot be made or mapped.
        """
        with self._lock:
            redo = Redo(self._folder)
            left = redo.left(applied)
            self._synced = redo.number
            if left:
                self._statements.extendleft(reversed(left))
            else:
                redo.begin_again()
            self._redo = redo
            return len(left)

    def begin(self, wake: Callable[[], None], *, sync_each: bool) -> None:
        """From now on `keep` keeps, and calls `wake` for the first; with `sync_each` each is synced at once."""
        with self._lock:
            self._wake, self._sync_each = wake, sync_each

    def end(self) -> None:
        """From now on `keep` keeps nothing."""
        with self._lock:
            self._wake = None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self.end()
            if self._redo is not None:
                self._redo.close()
                self._redo = None

    def keep(self, statements: Sequence[Statement]) -> bool:
        """Keep them so that a kill −9 does not take them; False where they have to be written at once."""
        with self._lock:
            if self._wake is None or self._redo is None or len(self._statements) + len(statements) > BACKLOG:
                return False
            first = not self._statements
            if not self._redo.append(statements):
                return False
            self._statements.extend(statements)
            if self._sync_each:
                self.sync()
            if first or self._grew_much():  # else the writer looks by itself: to wake it each time costs the most
                self._wake()
            return True

    def _grew_much(self) -> bool:
        """Whether it is much since just now."""
        before, self._was_much = self._was_much, self.much
        return self._was_much and not before

    def add(self, statements: Sequence[Statement]) -> None:
        """Keep them in memory alone, behind the others."""
        with self._lock:
            self.lost += max(0, len(self._statements) + len(statements) - BACKLOG)
            self._statements.extend(statements)

    def look(self) -> tuple[list[Statement], int]:
        """All that is kept, and the number up to which that goes; 0 where numbers are not counted."""
        with self._lock:
            return list(self._statements), 0 if self._redo is None else self._redo.number

    def written(self, count: int) -> None:
        """The first so many are in SQLite's file, and synced."""
        with self._lock:
            for _ in range(min(count, len(self._statements))):
                self._statements.popleft()
            if self._redo is not None and not self._statements:
                self._synced = self._redo.number
                self._redo.begin_again()

    def sync(self) -> bool:
        """Bring what is kept onto the disk, where it is safe from a power cut too; False where that failed."""
        redo = self._redo
        if redo is None:
            return True
        number = redo.number
        try:
            redo.sync()
        except (OSError, ValueError) as error:  # a disk that fails; or closed meanwhile, and then it is written
            log.warning("the journal's %s could not be brought onto the disk: %s", FILE, error)
            return False
        finally:
            self._synced = max(self._synced, number)
        return True

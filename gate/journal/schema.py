"""The journal's file: its tables, how an older one is brought up to date, and what becomes of a damaged one."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

FILE = "journal.sqlite3"

BUSY = 0.25
"""Seconds to wait for somebody else's lock on the file: a prompt is being queued meanwhile, on the event loop."""

WAL_LIMIT = 4 * 1024**2
"""Bytes the write-ahead log is cut back to after it was taken over into the file."""

MIGRATIONS = (
    """
    CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        number REAL NOT NULL,
        session TEXT NOT NULL,
        state TEXT NOT NULL,
        graph TEXT,
        outputs TEXT,
        extra TEXT,
        client TEXT,
        stripped TEXT NOT NULL DEFAULT '',
        attempts INTEGER NOT NULL DEFAULT 0,
        deaths INTEGER NOT NULL DEFAULT 0,
        queued_at REAL NOT NULL,
        started_at REAL,
        ended_at REAL,
        seconds REAL,
        peak_ram INTEGER,
        peak_vram TEXT,
        node TEXT NOT NULL DEFAULT '',
        error_type TEXT NOT NULL DEFAULT '',
        error TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX jobs_by_id ON jobs (id);
    CREATE INDEX jobs_by_state ON jobs (state, session);
    """,
    """
    CREATE TABLE applied (number INTEGER NOT NULL);
    INSERT INTO applied VALUES (0);
    """,
    "ALTER TABLE jobs ADD COLUMN changed TEXT NOT NULL DEFAULT '';",
    """
    CREATE TABLE workflows (
        signature TEXT PRIMARY KEY,
        longest REAL NOT NULL,
        node TEXT NOT NULL,
        seen REAL NOT NULL
    );
    """,
    """
    ALTER TABLE jobs ADD COLUMN title TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN level TEXT NOT NULL DEFAULT 'normal';
    ALTER TABLE jobs ADD COLUMN actions INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN freed INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN predicted INTEGER;
    ALTER TABLE jobs ADD COLUMN retried_as TEXT NOT NULL DEFAULT '';
    """,
)
"""`MIGRATIONS[n]` makes version n + 1 of version n; the version is the file's `user_version`."""


class Newer(Exception):  # noqa: N818 - it names what was found
    """The file is of a later version of Resource Gate; it is left as it is."""


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file itself is broken; what passes (full, locked, read-only) is another class."""
    return type(error) is sqlite3.DatabaseError


def open_journal(folder: Path, wall: Callable[[], float] = time.time) -> sqlite3.Connection:
    """Open `journal.sqlite3`, of the present version; made anew where it is missing or was damaged.

    Raises:
        OSError, sqlite3.Error: it can be neither opened nor made.
        Newer: it is of a later version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        put_aside(path, error, wall)
        return _open(path)


def put_aside(path: Path, error: BaseException, wall: Callable[[], float] = time.time) -> None:
    """Rename a damaged file, with its companions, so that a new one can be begun.

    Raises:
        OSError: it cannot be renamed.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall()))
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    count = 1
    while target.exists():
        count += 1
        target = path.with_name(f"{path.name}.damaged-{stamp}-{count}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(target.with_name(target.name + suffix))
    log.error(
        "%s is damaged (%s): put aside as %s, and a new one begun; what was queued in it is not restored",
        path,
        error,
        target.name,
    )


def _open(path: Path) -> sqlite3.Connection:
    # Made by us, so that nobody else may read it at any time; SQLite gives its companions the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if os.name == "posix":
        path.chmod(0o600)
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise Newer(f"the journal is of version {version}, this Resource Gate knows {len(MIGRATIONS)}")
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except UnicodeDecodeError as error:  # SQLite's message quotes the damage, which is no text
        raise sqlite3.DatabaseError(f"the check cannot tell what is wrong ({error})") from error
    if found != "ok":
        raise sqlite3.DatabaseError(found)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT}")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;{script}PRAGMA user_version={number};COMMIT;")

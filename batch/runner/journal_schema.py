"""The tables of a batch's journal, and how its file is opened."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

FILE = "journal.sqlite3"
BUSY_TIMEOUT = 10.0
"""Seconds to wait for a reader's lock: `batch status` beside a running batch holds one for milliseconds."""
CACHE = 256
"""KiB of pages in memory: rows are read once, by their index, and need not be kept (SQLite's default is 2 MB)."""

SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE jobs (idx INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, key TEXT NOT NULL,"
    " graph TEXT NOT NULL, files TEXT NOT NULL, row TEXT NOT NULL,"
    " state TEXT NOT NULL DEFAULT 'planned', attempt INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0,"
    " server TEXT NOT NULL DEFAULT '', prompt_id TEXT NOT NULL DEFAULT '', started_at REAL, ended_at REAL,"
    " seconds REAL NOT NULL DEFAULT 0, wait REAL NOT NULL DEFAULT 0, peak_ram INTEGER,"
    " peak_vram TEXT NOT NULL DEFAULT '{}', outputs TEXT NOT NULL DEFAULT '[]',"
    " error_kind TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '', node TEXT NOT NULL DEFAULT '',"
    " actions TEXT NOT NULL DEFAULT '[]')",
    "CREATE INDEX jobs_by_state ON jobs (state, idx)",
    "CREATE TABLE samples (time REAL NOT NULL, server TEXT NOT NULL, used INTEGER NOT NULL, capacity INTEGER NOT NULL,"
    " fraction REAL NOT NULL)",
)


MIGRATIONS = ("ALTER TABLE jobs ADD COLUMN expected_ram INTEGER",)
"""`MIGRATIONS[n]` makes version n + 2 of version n + 1, which is `SCHEMA`'s; a new file goes the same way."""
VERSION = 1 + len(MIGRATIONS)
"""Of the tables; in SQLite's `user_version`."""


class JournalError(Exception):
    """The journal cannot be used; the text says which and why."""


def is_there(folder: Path) -> bool:
    """Whether there is a batch in `folder`: written whole, not only begun."""
    path = folder / FILE
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT)) as database:
            return bool(database.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return True  # it is not ours to remove; who opens it is told why it cannot be used


def open_file(folder: Path, *, create: bool, migrate: bool = False) -> sqlite3.Connection:
    """Open the journal in `folder`, with every commit on the disk before it returns.

    Args:
        migrate: bring one that an earlier version wrote to the present version. Who only reads it need not: it may lie
            where nothing can be written, or a runner of that version may be at it.

    Raises:
        JournalError: there is none, or there is one already, or it is not one of ours.
    """
    path = folder / FILE
    if is_there(folder) == create:
        told = "there is a batch already" if create else "there is no batch"
        raise JournalError(f"{told} in {folder}")
    try:
        if create:
            for left in folder.glob(f"{FILE}*"):  # of a runner that died before its first commit
                left.unlink()
            # SQLite would make it for all to read; its companions get the mode of the file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        database = sqlite3.connect(path, timeout=BUSY_TIMEOUT, check_same_thread=False, isolation_level=None)
        # WAL: who asks for the status never waits for the runner. FULL: a commit survives a power cut.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA cache_size = -{CACHE}")
        if create:
            database.execute("BEGIN")
            for statement in (*SCHEMA, *MIGRATIONS):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {VERSION}")
            # The caller commits, once the jobs are in it: a journal without its jobs must not be found later.
            return database
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if migrate and 0 < version < VERSION:
            version = _migrated(database)
    except sqlite3.Error as error:
        raise JournalError(f"{path} cannot be used: {error}") from error
    if not 0 < version <= VERSION:
        database.close()
        raise JournalError(f"{path} is of version {version}, this program reads {VERSION}")
    return database


def _migrated(database: sqlite3.Connection) -> int:
    """Bring an older file to the present version, in one commit; return that."""
    database.execute("BEGIN IMMEDIATE")
    try:
        found = database.execute("PRAGMA user_version").fetchone()[0]
        for statement in MIGRATIONS[found - 1 :]:
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # SQLite itself undoes what a full disk does not take
            database.execute("ROLLBACK")
        raise
    return VERSION

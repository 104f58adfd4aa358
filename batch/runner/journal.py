"""What a batch is and how far it has come, on the disk before it is acted on: a killed runner resumes from here."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ...gate.journal.lock import JournalLock, Taken
from ..joblist.job import InputFile, Job, JobList
from .journal_report import Rows, report
from .journal_schema import JournalError, open_file
from .result import STOPPED, JobResult

__all__ = ["Journal", "JournalError", "Taken"]

SAMPLES_AT_ONCE = 20
"""Memory samples held back for the next commit; losing them in a crash costs points of a plot."""


class Journal:
    """The journal of one batch folder. Any thread.

    States of a job: planned, running (also: was running when the runner died), done, failed, skipped.

    Args:
        folder: of the batch.
        database: opened by `open_file`.
        lock: held while this is open; None for who only reads.
    """

    def __init__(self, folder: Path, database: sqlite3.Connection, lock: JournalLock | None) -> None:
        self.folder = folder
        self._database = database
        self._lock = lock
        self._one = threading.Lock()
        self._samples: list[tuple[float, str, int, int, float]] = []

    @classmethod
    def create(cls, folder: Path, jobs: JobList, meta: Mapping[str, Any]) -> Journal:
        """Write a new batch down, whole, and hold it.

        Args:
            meta: what `meta` returns later: JSON values. `id` is the batch's.

        Raises:
            JournalError: there is one already.
            Taken: another runner holds the folder.
        """
        folder.mkdir(parents=True, exist_ok=True)
        lock = JournalLock(folder)
        lock.take()
        try:
            database = open_file(folder, create=True)
        except BaseException:
            lock.release()
            raise
        journal = cls(folder, database, lock)
        try:
            known = {"workflow": str(jobs.workflow), "source": jobs.source, "created_at": time.time(), **meta}
            database.executemany("INSERT INTO meta VALUES (?, ?)", ((k, json.dumps(v)) for k, v in known.items()))
            database.executemany(
                "INSERT INTO jobs (idx, name, key, graph, files, row) VALUES (?, ?, ?, ?, ?, ?)", map(_row, jobs.jobs)
            )
            database.execute("COMMIT")
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def open(cls, folder: Path) -> Journal:
        """Hold the batch in `folder`, to go on with it.

        Raises:
            JournalError: there is none.
            Taken: another runner holds it.
        """
        if not folder.is_dir():
            raise JournalError(f"there is no batch in {folder}")
        lock = JournalLock(folder)
        lock.take()
        try:
            return cls(folder, open_file(folder, create=False, migrate=True), lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def read(cls, folder: Path) -> Journal:
        """Look at the batch in `folder`, whoever runs it; nothing in it is changed.

        Raises:
            JournalError: there is none.
        """
        return cls(folder, open_file(folder, create=False), None)

    def close(self) -> None:
        """Write what is held back, and let go of the file and the lock."""
        with self._one:
            if self._lock is not None and self._samples and not self._database.in_transaction:
                self._write_samples()
            self._database.close()
            if self._lock is not None:
                self._lock.release()

    @property
    def meta(self) -> dict[str, Any]:
        """What the batch was created with, and what was set since."""
        with self._one:
            rows = self._database.execute("SELECT name, value FROM meta").fetchall()
        return {name: json.loads(value) for name, value in rows}

    def set_meta(self, **values: Any) -> None:
        """Set some of it. JSON values."""
        with self._transaction():
            for name, value in values.items():
                self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, json.dumps(value)))

    def keys(self) -> list[str]:
        """The jobs' keys, in order: whether a job list is this batch's."""
        with self._one:
            return [row[0] for row in self._database.execute("SELECT key FROM jobs ORDER BY idx")]

    def due(self) -> list[int]:
        """Indices of the jobs still to be done: first those an earlier runner was at, then the rest in order."""
        sql = "SELECT idx FROM jobs WHERE state IN ('running', 'planned') ORDER BY state = 'planned', idx"
        with self._one:
            return [row[0] for row in self._database.execute(sql)]

    def job(self, index: int) -> Job:
        """One job, as it was planned. Read when it is needed: ten thousand graphs need not be in memory."""
        sql = "SELECT name, graph, files, row FROM jobs WHERE idx = ?"
        with self._one:
            name, graph, files, row = self._database.execute(sql, (index,)).fetchone()
        inputs = tuple(InputFile(node, input_, Path(path)) for node, input_, path in json.loads(files))
        return Job(index, name, json.loads(graph), inputs, json.loads(row))

    def start(self, index: int, server: str) -> int:
        """Note that a job is given to `server`; return the number of its first attempt, for `perform`."""
        with self._transaction():
            self._database.execute(
                "UPDATE jobs SET state = 'running', server = ?, started_at = coalesce(started_at, ?),"
                " attempt = max(attempt, 1) WHERE idx = ?",
                (server, time.time(), index),
            )
            return int(self._database.execute("SELECT attempt FROM jobs WHERE idx = ?", (index,)).fetchone()[0])

    def submitted(self, index: int, attempt: int, prompt_id: str, server: str) -> None:
        """Note the intent to send that attempt; on the disk when this returns."""
        with self._transaction():
            self._database.execute(
                "UPDATE jobs SET attempt = ?, sent = sent + 1, prompt_id = ?, server = ? WHERE idx = ?",
                (attempt, prompt_id, server, index),
            )

    def end(self, index: int, result: JobResult) -> None:
        """Note how a job ended; one that is still open (`job_is_open`) is planned again."""
        state = "planned" if result.job_is_open else "done" if result.ok else "failed"
        with self._transaction():
            self._database.execute(
                "UPDATE jobs SET state = ?, ended_at = ?, seconds = seconds + ?, wait = wait + ?,"
                # A prompt that was interrupted has its end at the server: the next one needs an id of its own.
                " attempt = attempt + ?, peak_ram = ?, peak_vram = ?, expected_ram = ?, outputs = ?, error_kind = ?,"
                " error = ?, node = ?, actions = ?, server = ? WHERE idx = ?",
                (
                    *(state, None if result.job_is_open else time.time(), result.seconds, result.wait),
                    *(int(result.error_kind == STOPPED), result.peak_ram, json.dumps(dict(result.peak_vram))),
                    result.expected_ram,
                    *(json.dumps([str(path) for path in result.outputs]), result.error_kind, result.error),
                    *(result.node, json.dumps(list(result.actions)), result.server, index),
                ),
            )

    def plan_failed_again(self) -> int:
        """Plan every failed job anew; return how many."""
        sql = (
            "UPDATE jobs SET state = 'planned', attempt = attempt + 1, started_at = NULL, ended_at = NULL, seconds = 0,"
            " wait = 0, error_kind = '', error = '', node = '' WHERE state = 'failed'"
        )
        with self._transaction():
            return self._database.execute(sql).rowcount

    def sample(self, at: float, server: str, used: int, limit: int, fraction: float) -> None:
        """Keep one reading of a server's memory, for the report's plot."""
        with self._one:
            self._samples.append((at, server, used, limit, fraction))
            many = len(self._samples) >= SAMPLES_AT_ONCE
        if many:
            with self._transaction():
                pass

    def counts(self) -> dict[str, int]:
        """How many jobs are in which state; all states are there."""
        states = dict.fromkeys(("planned", "running", "done", "failed", "skipped"), 0)
        with self._one:
            states.update(self._database.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
        return states

    @contextmanager
    def reported(self) -> Iterator[dict[str, Any]]:
        """All of it as it is now, while the block runs; jobs and samples are read as they are gone through.

        See `journal_report`; what is going on is written meanwhile, and is not in it.
        """
        with closing(open_file(self.folder, create=False)) as database:
            database.execute("BEGIN")
            yield report(database)

    def report(self) -> dict[str, Any]:
        """All of it, in memory."""
        with self.reported() as told:
            return {name: list(value) if isinstance(value, Rows) else value for name, value in told.items()}

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._one:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._write_samples()
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite itself undoes what a full disk does not take
                    self._database.execute("ROLLBACK")
                raise

    def _write_samples(self) -> None:
        self._database.executemany("INSERT INTO samples VALUES (?, ?, ?, ?, ?)", self._samples)
        self._samples.clear()


def _row(job: Job) -> Sequence[Any]:
    files = [[file.node, file.input, str(file.path)] for file in job.files]
    return (job.index, job.name, job.key, json.dumps(job.graph), json.dumps(files), json.dumps(dict(job.row)))

"""The journal: every accepted prompt and what became of it, on disk before anybody acts on it."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .finished import about_to_write
from .host import Job, NodeStart, Outcome, Queued
from .journal_note import Note, RunningNote
from .journal_rows import LIVE, JournalRows, prune
from .journal_store import JournalStore, Statement
from .last_exit import last_exit
from .secrets import without_secrets
from .title import title_of

log = logging.getLogger(__name__)

PRUNE_EVERY = 100
"""Ended prompts between two prunings."""

LONGEST_ERROR = 2000
"""Characters of an error's message that are kept."""


class Journal:
    """One process's. Any thread; nothing of it raises for want of a disk, `problem` tells instead.

    On disk before the call returns, with one synced transaction each: `accepted`, `started`, `ended`.

    Args:
        folder: where `journal.sqlite3` lies.
        deaths: with so many deaths of the process a job is not offered again, but set aside.
        output: where results are written; None where nobody may look there.
        story: job id → level crossed, actions, bytes freed, asked when it ends.
    """

    def __init__(
        self,
        folder: Path,
        deaths: Callable[[], int] = lambda: 2,
        output: Path | None = None,
        *,
        story: Callable[[str], tuple[str, int, int]] = lambda job_id: ("normal", 0, 0),
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._deaths = deaths
        self._output = output
        self._story = story
        self._wall = wall
        self._clock = clock
        self._lock = threading.RLock()
        self._store = JournalStore(folder, wall, clock)
        self._running_note: RunningNote | None = None
        self._note = Note()
        self._session = uuid.uuid4().hex
        self._began: dict[str, float] = {}
        self._ended = 0
        self.rows = JournalRows(self._store.read, self._write, self._session)
        """What is in it, for the routes and for `Restore`."""

    @property
    def problem(self) -> str | None:
        """Why it does not, or not wholly, keep what is queued; None where all is well."""
        return self._store.problem

    def open(self) -> None:
        """Open or make the file, and take stock of what the last process left. Call once, before prompts come."""
        with self._lock:
            if not self._store.open():
                return
            try:
                self._running_note = RunningNote(self._folder)
                left = self._running_note.read()
                self._running_note.write(self._note)
            except (OSError, ValueError) as error:
                log.warning("at which node a process dies will not be known: %s", error)
                left = Note()
            end = last_exit(self._folder, self._store.process_before)
            self._write(
                [*self.rows.take_stock(left, self._deaths(), self._wall(), end), *prune(self._wall(), self._session)]
            )
            self.rows.count()

    def close(self) -> None:
        """The process ends in an orderly way: what runs is restored later, and its end is not held against it."""
        with self._lock:
            stop = "UPDATE jobs SET state = 'queued', node = '' WHERE state = 'running' AND session = ?"
            self._write([(stop, (self._session,))])
            self._store.close()
            if self._running_note is not None:
                self._running_note.close()
                self._running_note = None

    # -- what the host tells

    def accepted(self, prompt: Queued) -> None:
        """A prompt is about to be queued."""
        if not self._store.is_open:
            return
        graph, extra, stripped = without_secrets(prompt.graph, prompt.extra_data)
        client = prompt.extra_data.get("client_id")
        self._write(
            [
                # Its client has asked for it again: what an earlier process left of it must not come back as well.
                (
                    "UPDATE jobs SET state = 'deleted', graph = NULL, extra = NULL, ended_at = ?, error = ?"
                    f" WHERE id = ? AND session != ? AND state IN {LIVE}",
                    (self._wall(), "queued again by its client", prompt.id, self._session),
                ),
                (
                    "INSERT INTO jobs"
                    " (id, number, session, state, graph, outputs, extra, client, stripped, queued_at, title)"
                    " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(prompt.id, prompt.number, self._session, _json(graph), _json(prompt.outputs), _json(extra)),
                        *(client if isinstance(client, str) else None, ", ".join(stripped), self._wall()),
                        title_of(graph, prompt.outputs, extra),
                    ),
                ),
            ]
        )

    def removed(self, ids: Sequence[str]) -> None:
        """Prompts were taken out of the queue."""
        sql = (
            "UPDATE jobs SET state = 'deleted', graph = NULL, extra = NULL, ended_at = ?"
            " WHERE id = ? AND session = ? AND state IN ('queued', 'retried')"
        )
        self._write([(sql, (self._wall(), job_id, self._session)) for job_id in ids])

    def started(self, job: Job) -> None:
        """The prompt has left the queue and is about to run."""
        with self._lock:
            self._began[job.id] = self._clock()
            sql = (
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?, node = ''"
                " WHERE seq = (SELECT seq FROM jobs WHERE id = ? AND session = ? AND state IN ('queued', 'retried')"
                " ORDER BY number, seq LIMIT 1)"
            )
            self._write([(sql, (self._wall(), job.id, self._session))])
            self._set_note(Note(job.id))

    def before_node(self, node: NodeStart) -> None:
        """A node is about to run: a copy in memory, nothing is synced."""
        with self._lock:
            note = replace(self._note, job=node.job_id, node=f"{node.node_id} {node.class_type}".strip())
            writes = None if self._output is None else about_to_write(self._output, node)
            if writes is not None:
                note.writing = {**note.writing, node.node_id: list(writes)}
            self._set_note(note)

    def memory(self, ram: int, vram: Mapping[str, int]) -> None:
        """What the process uses now, for the story of a job that kills it; also tries what is still to be written."""
        with self._lock:
            if self._note.job:
                most = {d: max(size, self._note.vram.get(d, 0)) for d, size in vram.items()}
                note = replace(self._note, ram=max(ram, self._note.ram), vram=most)
                if note != self._note:
                    self._set_note(note)
            if self._store.behind:
                self._write([])

    def put_back(self, job_id: str, outcome: Outcome | None = None) -> None:
        """The running prompt waits again, in its place; `outcome` is what became of the attempt."""
        error = (
            ("", "", "") if outcome is None else (outcome.error_type, outcome.error[:LONGEST_ERROR], outcome.node_id)
        )
        sql = (
            "UPDATE jobs SET state = 'retried', error_type = ?, error = ?, node = ?"
            " WHERE id = ? AND session = ? AND state = 'running'"
        )
        with self._lock:
            self._set_note(Note())
            self._write([(sql, (*error, job_id, self._session))])

    def ended(self, outcome: Outcome, peak_ram: int = 0, peak_vram: Mapping[str, int] | None = None) -> None:
        """The prompt is over; its graph is not kept any longer, unless it failed and may be asked for once more."""
        with self._lock:
            began = self._began.pop(outcome.job_id, None)
            seconds = None if began is None else self._clock() - began
            sql = (
                "UPDATE jobs SET state = ?, ended_at = ?, seconds = ?, peak_ram = ?, peak_vram = ?, error_type = ?,"
                " error = ?, node = ?, level = ?, actions = ?, freed = ?,"
                " graph = CASE WHEN ? THEN NULL ELSE graph END, extra = CASE WHEN ? THEN NULL ELSE extra END"
                " WHERE id = ? AND session = ? AND state = 'running'"
            )
            state = "done" if outcome.ok else "failed"
            values = (
                *(state, self._wall(), seconds, peak_ram or None, _json(peak_vram or {})),
                *(outcome.error_type, outcome.error[:LONGEST_ERROR], outcome.node_id, *self._story(outcome.job_id)),
                *(outcome.ok, outcome.ok, outcome.job_id, self._session),
            )
            self._ended += 1
            more = prune(self._wall(), self._session) if self._ended % PRUNE_EVERY == 0 else []
            self._write([(sql, values), *more])
            self._set_note(Note())

    # -- underneath

    def _set_note(self, note: Note) -> None:
        self._note = note
        if self._running_note is not None:
            self._running_note.write(note)

    def _write(self, statements: Sequence[Statement]) -> None:
        self._store.write(statements)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)

"""The journal: every accepted prompt and what became of it, on disk before anybody acts on it."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path

from ..compact import ENCODE
from ..finished import Saves
from ..host import Job, NodeStart, Outcome, Queued
from ..last_exit import last_exit
from ..secrets import may_hold_secrets, without_secrets
from .note import Note, RunningNote
from .redo import Statement
from .rows import JournalRows, prune
from .sql import ACCEPTED, ENDED, FAILED, PREDICTED, PUT_BACK, QUEUED_AGAIN, REMOVED, STARTED, STOPPED
from .store import JournalStore
from .times import WorkflowTimes
from .writer import JournalWriter

log = logging.getLogger(__name__)

PRUNE_EVERY = 100
"""Ended prompts between two prunings."""

NOTED_GROWTH = 1.01
"""A peak of the running job is noted where it has grown by so much: this is asked before each node."""

IN_PLACE = "RESOURCE_GATE_JOURNAL_SESSION"
"""In the environment, which a process that starts itself anew hands on: whose rows it had. ComfyUI-Manager's restart
button does so by `os.execv`, before which nothing of ours is called."""

LONGEST_ERROR = 2000
"""Characters of an error's message that are kept."""


class Journal:
    """One process's. Any thread; nothing of it raises for want of a disk, `problem` tells instead.

    What `accepted`, `started` and `ended` are told survives a kill −9 of the process when they return. It reaches the
    disk, where a power cut does not take it either, at most some 0.1 s later (`journal_writer.GATHER`); who cannot bear
    even that awaits `on_disk`. A power cut within that time leaves a prompt as not queued, as queued or as running, and
    then it comes back and runs again. (What it wrote to its files then is in the system's memory yet, too.)

    Args:
        folder: where `journal.sqlite3` lies.
        deaths: with so many deaths of the process a job is not offered again, but set aside.
        output: where results are written; None where nobody may look there.
        story: job id → level crossed, actions, bytes freed, asked when it ends.
        environment: of the process; None where it never starts itself anew.
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
        environment: MutableMapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._deaths = deaths
        self._saves = None if output is None else Saves(output)
        self._story = story
        self._wall = wall
        self._clock = clock
        self._lock = threading.RLock()
        self._store = JournalStore(folder, wall, clock)
        self._writer: JournalWriter | None = None
        self._running_note: RunningNote | None = None
        self._note = Note()
        self._noted = ""
        """The job that the page tells of."""
        self._session = uuid.uuid4().hex
        self._environment = {} if environment is None else environment
        self._began: dict[str, float] = {}
        self._ended = 0
        self._count_is_old = False
        """Whether less may be left to restore than was counted."""
        self.rows = JournalRows(self._store.read, self._write, self._session)
        """What is in it, for the routes and for `Restore`."""
        self.times = WorkflowTimes(self._store.read, self._write, wall)
        """How long the nodes of workflows took, for `StuckWatch`."""

    @property
    def problem(self) -> str | None:
        """Why it does not, or not wholly, keep what is queued; None where all is well."""
        return self._store.problem

    def open(self) -> None:
        """Open or make the file, and take stock of what the last process left. Call once, before prompts come."""
        with self._lock:
            if not self._store.open():
                return
            left = Note()
            try:
                self._running_note = RunningNote(self._folder)
                left = self._running_note.read()
            except (OSError, ValueError) as error:
                log.warning("at which node a process dies will not be known: %s", error)
            end = last_exit(self._folder, self._store.process_before)
            in_place, self._environment[IN_PLACE] = self._environment.get(IN_PLACE, ""), self._session
            stock = self.rows.take_stock(left, self._deaths(), self._wall(), end, in_place)
            self._write([*stock, *prune(self._wall(), self._session)])
            self._noted = left.job
            if self._store.problem is None:  # else, if we die now, the next start needs what is there
                self._set_note(self._note)
            self.rows.count()

    def write_behind(self, *, sync_each: bool = False) -> None:
        """Write behind the prompts' backs from now on; until then each call ends with a synced transaction.

        Args:
            sync_each: bring each onto the disk before it is acted on, because nobody can await `on_disk`.
        """
        self._writer = JournalWriter(self._store, sync_each=sync_each)

    async def on_disk(self) -> None:
        """Wait until what was accepted so far is safe from a power cut."""
        if self._writer is not None:
            await self._writer.on_disk()

    def close(self) -> None:
        """The process ends in an orderly way: what runs is restored later, and its end is not held against it."""
        with self._lock:
            self._write([(STOPPED, (self._session,))])
            if self._writer is not None:
                self._writer.stop()
            self._store.close()
            if self._running_note is not None:
                self._running_note.close()
                self._running_note = None

    # -- what the host tells

    def accepted(self, prompt: Queued) -> None:
        """A prompt is about to be queued."""
        if not self._store.is_open:
            return
        kept, more, stripped = prompt, ENCODE(dict(prompt.extra_data)), list[str]()
        if may_hold_secrets(prompt.text) or may_hold_secrets(more):
            graph, extra, stripped = without_secrets(prompt.graph, prompt.extra_data)
            if graph is not prompt.graph or extra is not prompt.extra_data:
                kept = Queued(prompt.id, prompt.number, graph, prompt.outputs, extra)
                more = ENCODE(extra)
        client = prompt.extra_data.get("client_id")
        values = (
            *(prompt.id, prompt.number, self._session, kept.text, ENCODE(prompt.outputs), more),
            *(client if isinstance(client, str) else None, ", ".join(stripped), self._wall()),
            kept.title,
        )
        statements: list[Statement] = [(ACCEPTED, values)]
        if self.rows.restorable:
            again = (self._wall(), "queued again by its client", prompt.id, self._session)
            statements.insert(0, (QUEUED_AGAIN, again))
            self._count_is_old = True
        self._write(statements)

    def removed(self, ids: Sequence[str]) -> None:
        """Prompts were taken out of the queue."""
        self._write([(REMOVED, (self._wall(), job_id, self._session)) for job_id in ids])

    def started(self, job: Job) -> None:
        """The prompt has left the queue and is about to run."""
        with self._lock:
            self._began[job.id] = self._clock()
            self._write([(STARTED, (self._wall(), job.id, self._session))])
            # On the page with its first node; at once where that page tells of the same id, which has run before.
            self._note, noted = Note(job.id), self._noted
            if noted == job.id:
                self._set_note(self._note)

    def before_node(self, node: NodeStart) -> None:
        """A node is about to run: a copy in memory, nothing is synced."""
        with self._lock:
            last = self._note
            writing = last.writing
            writes = None if self._saves is None else self._saves.about_to_write(node)
            if writes is not None:
                writing = {**writing, node.node_id: list(writes)}
            self._set_note(Note(node.job_id, f"{node.node_id} {node.class_type}".strip(), last.ram, last.vram, writing))

    def memory(self, ram: int, vram: Mapping[str, int], *, catch_up: bool = True) -> None:
        """What the process uses now, for the story of a job that kills it.

        Args:
            catch_up: try what is still to be written, too, and count anew; for who may wait for a disk that hangs.
        """
        with self._lock:
            note = self._note
            grown = ram > note.ram * NOTED_GROWTH or any(
                b > note.vram.get(d, 0) * NOTED_GROWTH for d, b in vram.items()
            )
            if note.job and grown:
                most = {d: max(size, note.vram.get(d, 0)) for d, size in vram.items()}
                self._set_note(Note(note.job, note.node, max(ram, note.ram), {**note.vram, **most}, note.writing))
        if catch_up and self._store.behind:  # without the lock, which the worker takes before each node
            self._write([])
        if catch_up and self._count_is_old:
            self._count_is_old = False
            self.rows.count()

    def put_back(self, job_id: str, outcome: Outcome | None = None, changed: str = "") -> None:
        """The running prompt waits again, in its place.

        Args:
            outcome: what became of the attempt.
            changed: what is changed for the next one, in words.
        """
        error = (
            ("", "", "") if outcome is None else (outcome.error_type, outcome.error[:LONGEST_ERROR], outcome.node_id)
        )
        with self._lock:
            self._set_note(Note())
            self._write([(PUT_BACK, (*error, changed, job_id, self._session))])

    def ended(
        self,
        outcome: Outcome,
        peak_ram: int = 0,
        peak_vram: Mapping[str, int] | None = None,
        predicted: int | None = None,
    ) -> None:
        """The prompt is over; its graph is not kept any longer, unless it failed and may be asked for once more.

        Args:
            predicted: bytes that `peak_ram` had been expected to stay below; None where that is not to be kept.
        """
        with self._lock:
            began = self._began.pop(outcome.job_id, None)
            seconds = None if began is None else self._clock() - began
            state = "done" if outcome.ok else "failed"
            values = (
                *(state, self._wall(), seconds, peak_ram or None, ENCODE(peak_vram) if peak_vram else "{}"),
                *(outcome.error_type, outcome.error[:LONGEST_ERROR], outcome.node_id),
                *(*self._story(outcome.job_id), outcome.job_id, self._session),
            )
            self._ended += 1
            more = prune(self._wall(), self._session) if self._ended % PRUNE_EVERY == 0 else []
            if predicted is not None:
                more = [(PREDICTED, (predicted, outcome.job_id, self._session)), *more]
            self._write([(ENDED if outcome.ok else FAILED, values), *more])
            self._note = Note()  # what the page tells of a job that does not run is not looked at

    # -- underneath

    def _set_note(self, note: Note) -> None:
        self._note, self._noted = note, note.job
        if self._running_note is not None:
            self._running_note.write(note)

    def _write(self, statements: Sequence[Statement]) -> None:
        self._store.write(statements)

"""The jobs that wait for a machine: in the list's order, a stretch of them in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ...gate.retry import ErrorKind
from ..joblist.job import Job
from ..needs.learned_need import LearnedNeed, Need
from ..runner.result import LOST, REFUSED, SERVER, JobResult
from .foresight import Foresight
from .placement import Room, Wish, choose, nowhere

WINDOW = 256
"""Jobs that are looked at when a machine is free: their graphs are in memory, those of the others are not."""

OTHER_MACHINE = frozenset({SERVER, LOST, REFUSED, ErrorKind.MEMORY.value, ErrorKind.DEVICE_MEMORY.value})
"""Ends after which another machine may do what this one could not: more memory, other models, other nodes."""
OUT_OF_MEMORY = frozenset({LOST, ErrorKind.MEMORY.value})
"""Ends that say that the machine is too small: a server that dies with a job was killed for memory, as a rule."""


class Ledger(Protocol):
    """What is needed of the runner's `Journal`; see there."""

    def due(self) -> list[int]: ...  # noqa: D102 - as `Journal` says
    def job(self, index: int) -> Job: ...  # noqa: D102
    def start(self, index: int, server: str) -> int: ...  # noqa: D102
    def end(self, index: int, result: JobResult) -> None: ...  # noqa: D102


@dataclass(eq=False)
class Open:
    """A job that has no end yet: it waits, or a machine has it.

    Attributes:
        home: the machine that may still be at it; until `home_until` (steady clock) no other gets it.
        barred: machine → why it does not get this job again.
        moves: how often it had to go to a machine anew.
        machine: the one that has it, or had it last.
        left_on: machines that may still be at it → number of the first attempt there.
        called_off: machines where it was called off → number of the last attempt there.
        said: machines of which a person was told that.
        peak: most bytes in use there while it ran, as our own looks saw them.
        waiting: why it fits nowhere; empty where it does.
        misfit_since: since when (steady clock).
    """

    job: Job
    home: str = ""
    home_until: float = 0.0
    barred: dict[str, str] = field(default_factory=dict)
    moves: int = 0
    machine: str = ""
    left_on: dict[str, int] = field(default_factory=dict)
    called_off: dict[str, int] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    peak: int = 0
    waiting: str = ""
    told: str = ""
    misfit_since: float | None = None


class Line:
    """Those that wait.

    Args:
        journal: holds what is due.
        learned: what this batch knows of jobs' needs.
        foresight: what the machines' servers know of them.
        need: tells a job's need instead of `learned`.
        patience: seconds that a job which fits nowhere waits for a larger machine to join.
    """

    def __init__(
        self,
        journal: Ledger,
        learned: LearnedNeed,
        foresight: Foresight,
        need: Need | None = None,
        patience: float = 0.0,
    ) -> None:
        self._journal, self._learned, self._foresight, self._patience = journal, learned, foresight, patience
        self._need = need or learned
        self._due = deque(journal.due())
        self._waiting: list[Open] = []
        self._homes: dict[int, str] = {}
        self._homes_until = 0.0

    def __len__(self) -> int:
        return len(self._due) + len(self._waiting)

    def send_home(self, homes: Mapping[int, str], until: float) -> None:
        """Until then give these jobs (by index) only to the machines that an earlier runner had given them to."""
        self._homes, self._homes_until = dict(homes), until

    def put(self, job: Open) -> None:
        """Put a job back, in its place."""
        self._waiting.append(job)
        self._waiting.sort(key=lambda one: one.job.index)

    def wish(self, job: Open, rooms: Collection[Room], now: float) -> Wish[Open]:
        """The job as placing sees it."""
        held = job.home and now < job.home_until
        foretold: dict[str, tuple[int, int]] = {}
        awaited: set[str] = set()
        # A server knows nothing of the files that it does not have yet: there the batch itself knows more.
        if not self._learned.from_files(job.job):
            for room in rooms:
                if (need := self._foresight.need(job.job, room.name)) is not None:
                    foretold[room.name] = need
                elif self._foresight.is_awaited(job.job, room.name, now):
                    awaited.add(room.name)
        return Wish(
            job,
            self._need(job.job),
            self._learned.least(job.job),
            self._learned.size(job.job),
            frozenset({job.home}) if held else frozenset(),
            frozenset(job.barred),
            foretold,
            frozenset(awaited),
        )

    def place(self, rooms: Collection[Room], now: float) -> list[tuple[Open, str]]:
        """Take from the line what machines can have now: the job and the machine's name."""
        while self._due and len(self._waiting) < WINDOW:
            job = self._journal.job(self._due.popleft())
            self._waiting.append(Open(job, self._homes.pop(job.index, ""), self._homes_until))
        gated = [room.name for room in rooms if room.reading is not None and room.reading.gated]
        sized = (job.job for job in self._waiting if not self._learned.from_files(job.job))
        self._foresight.ask(sized, gated, now)
        wishes = [self.wish(job, rooms, now) for job in self._waiting]
        given = [(wish.job, room.name) for wish, room in choose(wishes, rooms, now)]
        for taken, name in given:
            self._waiting.remove(taken)
            if taken.home and taken.home != name:
                taken.left_on.setdefault(taken.home, 0)
            taken.home, taken.waiting, taken.told, taken.misfit_since = "", "", "", None
        return given

    def stuck(self, rooms: Collection[Room], now: float) -> list[tuple[Open, str]]:
        """Take from the line what fits on no machine and has waited long enough for another: the job and the reason."""
        taken = []
        for job in list(self._waiting):
            wish = self.wish(job, rooms, now)
            job.waiting = "" if wish.only else nowhere(wish, rooms, lambda name, job=job: job.barred[name])  # type: ignore[misc]
            if not job.waiting:
                job.misfit_since = None
                continue
            job.misfit_since = now if job.misfit_since is None else job.misfit_since
            if now - job.misfit_since >= self._patience:
                self._waiting.remove(job)
                taken.append((job, job.waiting))
        return taken

    def told(self) -> Iterator[Open]:
        """Those whose reason to wait is another than when this was last asked."""
        for job in self._waiting:
            if job.waiting != job.told:
                job.told = job.waiting
                if job.waiting:
                    yield job

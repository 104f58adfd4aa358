"""Jobs, a journal, machines and a way to them that tests hold in their hands."""

from __future__ import annotations

import queue
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resource_gate.batch.fleet.dispatcher import Dispatcher
from resource_gate.batch.fleet.machine import Memory, Reading
from resource_gate.batch.fleet.messages import Broken, CalledOff, Ended, Foretold, Left, Message, Seen, Told
from resource_gate.batch.fleet.roster import Roster
from resource_gate.batch.joblist.job import Job, JobList
from resource_gate.batch.needs.learned_need import LearnedNeed
from resource_gate.batch.runner.journal import Journal
from resource_gate.batch.runner.options import RunOptions
from resource_gate.batch.runner.result import JobResult
from resource_gate.batch.runner.stopping import Stopping
from resource_gate.batch.trial.sample_jobs import ClipSize, plain_clip

GIB = 1024**3


@pytest.fixture
def clip() -> Callable[..., Job]:
    """Make a job: `clip(3, frames=97, width=640, height=360, scale=2)`."""

    def make(index: int, name: str = "", **size: int) -> Job:
        made = plain_clip(index, ClipSize(**size), name or f"clip{index:03}")
        return Job(index, made.name, made.graph)

    return make


@pytest.fixture
def reading() -> Callable[..., Reading]:
    """Make a look: `reading(limit=8, used=1)`, in GiB."""

    def make(limit: float = 8, used: float = 1, **more: Any) -> Reading:
        return Reading(0.0, ram=Memory(int(used * GIB), int(limit * GIB)), gated=True, **{**more})

    return make


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[Callable[..., Journal]]:
    """Write a journal of these jobs."""
    opened: list[Journal] = []

    def write(jobs: list[Job]) -> Journal:
        listed = JobList(tuple(jobs), tmp_path / "workflow.json", "a test")
        opened.append(Journal.create(tmp_path / "out" / ".resource-gate", listed, {"id": str(uuid.uuid4())}))
        return opened[-1]

    yield write
    for journal in opened:
        journal.close()


class Hands:
    """A way to machines that only notes what is asked of it; the test says what comes of it."""

    def __init__(self) -> None:
        self.inbox: queue.Queue[Message] = queue.Queue()
        self.given: list[tuple[str, str]] = []
        self.attempts: list[int] = []
        self.leases: dict[str, tuple[str, str]] = {}
        self.dropped: list[str] = []
        self.called_off: list[tuple[str, int]] = []
        self.ids: list[str] = []
        self.becomes: list[list[str] | None] = []
        self.asked: list[tuple[str, str]] = []

    def give(self, lease: str, job: Job, machine: str, first_attempt: int) -> None:
        self.given.append((job.name, machine))
        self.attempts.append(first_attempt)
        self.leases[lease] = job.name, machine
        self.answer(lease, job.name, machine)

    def ask(self, machine: str, key: str, graph: Mapping[str, Any]) -> None:
        self.asked.append((machine, key))
        self.inbox.put(Foretold(machine, key, self.foretells(machine, graph)))

    def foretells(self, machine: str, graph: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return None

    def call_off(self, machine: str, index: int, ids: Sequence[str]) -> None:
        self.called_off.append((machine, index))
        self.ids += ids
        self.inbox.put(CalledOff(machine, index, self.becomes.pop(0) if self.becomes else ["gone"]))

    def drop(self, lease: str) -> None:
        self.dropped.append(self.leases[lease][0])
        self.inbox.put(Ended(lease, JobResult(False, "stopped", "the batch was stopped")))

    answer: Callable[[str, str, str], None] = staticmethod(lambda lease, job, machine: None)


class Bench:
    """A dispatcher on a journal, with machines of the test's own. Its clock goes on by a second at each look."""

    def __init__(self, journal: Journal, out: Path, **more: Any) -> None:
        self.journal, self.hands, self.roster = journal, Hands(), Roster()
        self.events: list[Mapping[str, Any]] = []
        self.heard: Callable[[Mapping[str, Any]], None] = lambda event: None
        self.at: dict[float, Callable[[], None]] = {}
        """Second of the clock → what happens then."""
        self.stopping = Stopping()
        self.learned = LearnedNeed(probe=lambda _: None)
        self.now = 0.0
        options = replace(RunOptions(out, journal.meta["id"]), **more.pop("options", {}))
        self.dispatcher = Dispatcher(
            journal, self.hands, self.hands.inbox, self.roster, options, self.tell, self.stopping,
            learned=self.learned, clock=self.clock, tick=0.001, **more,
        )  # fmt: skip
        self.hands.answer = self.done

    def tell(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)
        self.heard(event)

    def clock(self) -> float:
        self.now += 1.0
        self.at.pop(self.now, lambda: None)()
        return self.now

    def see(self, machine: str, reading: Reading) -> None:
        self.hands.inbox.put(Seen(machine, f"http://{machine}", reading))

    def leave(self, machine: str) -> None:
        self.hands.inbox.put(Left(machine, "its worker process ended"))

    def done(self, lease: str, job: str, machine: str, **more: Any) -> None:
        self.hands.inbox.put(Ended(lease, JobResult(True, server=machine, **more)))

    def failed(self, lease: str, kind: str, error: str) -> None:
        self.hands.inbox.put(Ended(lease, JobResult(False, kind, error)))

    def broken(self, lease: str, reason: str = "its worker process ended", *, reached: bool = True) -> None:
        self.hands.inbox.put(Broken(lease, reason, reached))

    def told(self, lease: str, **event: Any) -> None:
        self.hands.inbox.put(Told(lease, event))

    def run(self) -> str:
        return self.dispatcher.run()

    def told_of(self, kind: str) -> list[Mapping[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.journal.report()["jobs"]}


@pytest.fixture
def bench(open_journal: Callable[..., Journal], tmp_path: Path) -> Callable[..., Bench]:
    """Put a dispatcher on a journal of these jobs."""
    return lambda jobs, **more: Bench(open_journal(jobs), tmp_path / "out", **more)

"""A batch is worked on and its journal kept, whatever becomes of who shows it; and the other way round."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict

import pytest

from resource_gate.batch.batch_work import DONE, Where, work
from resource_gate.batch.joblist.job import JobList
from resource_gate.batch.runner.journal import Journal


class Shown:
    """A view that a test may break."""

    def __init__(self) -> None:
        self.events = []
        self.closed = False
        self.broken_at = ""

    def on(self, event):
        self.events.append(event["event"])
        if event["event"] == self.broken_at:
            raise BrokenPipeError(32, "Broken pipe")

    def close(self):
        self.closed = True


class Full(Journal):
    """Its disk fills up once the batch has begun."""

    full = False

    def set_meta(self, **values):
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        super().set_meta(**values)


@pytest.fixture
def begin(tmp_path, job, options):
    """Write down a batch of three jobs."""
    kept = {name: value for name, value in asdict(options).items() if name not in ("out", "batch_id")}
    meta = {"id": options.batch_id, "options": {**kept, "out": str(options.out)}}
    made = []

    def create(kind=Journal):
        jobs = JobList(tuple(job(index) for index in range(3)), tmp_path / "workflow.json", "a test")
        made.append(kind.create(tmp_path / "batch", jobs, meta))
        return made[-1]

    yield create
    for journal in made:
        journal.close()


@pytest.mark.parametrize("at", ["batch_started", "job_started", "memory", "job_ended", "batch_ended"])
def test_a_reader_that_goes_away_does_not_end_the_batch(begin, fake, at):
    """`resource-gate batch run … | less`, a log on a full disk, a terminal that is gone."""
    journal, view = begin(), Shown()
    view.broken_at = at
    assert work(journal, Where((fake.url,)), view, lambda line: None) == DONE
    assert journal.counts()["done"] == 3 and len(fake.sent) == 3
    assert view.events.count(at) == 1 and view.events[-1] == at  # nothing more is written there
    assert view.closed and journal.report()["samples"]


def test_a_journal_that_cannot_be_written_leaves_no_drawing_on_the_terminal(begin, fake):
    journal, view = begin(Full), Shown()
    before = view.on

    def on(event):
        before(event)
        journal.full = True

    view.on = on
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        work(journal, Where((fake.url,)), view, lambda line: None)
    assert view.closed and view.events[-1] == "batch_ended"

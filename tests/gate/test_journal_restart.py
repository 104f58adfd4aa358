"""A restart while the disk takes nothing, and after an end in order: no job runs twice, no death is forgotten."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
from contextlib import contextmanager

import pytest

from resource_gate.gate.host import Job, NodeStart, Outcome, Queued
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.journal.kept import BACKLOG
from resource_gate.gate.journal.rows import KEPT_SECONDS
from resource_gate.gate.journal.store import TRY_AGAIN


@contextmanager
def nothing_can_be_written(folder):
    """As a full disk does it: the file can be read, and no transaction is taken."""
    other = sqlite3.connect(folder / "journal.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def queued(name):
    return Queued(name, 0.0, {"1": {"class_type": "X", "inputs": {}}}, ("1",))


def behind(journal):
    """Keep back what is told, with nobody who writes it."""
    assert journal._store.write_behind(lambda: None, sync_each=False)
    return journal


def state_of(journal, name):
    return next(job["state"] for job in journal.rows.jobs(10) if job["id"] == name)


def test_what_a_dead_process_had_kept_back_counts_at_the_restart_though_it_cannot_be_written_yet(
    start, tmp_path, machine
):
    first = start()
    for name in "abc":
        first.accepted(queued(name))
    behind(first)
    for name in "ab":
        first.started(Job(name, 0.0))
        first.ended(Outcome(name, True))
    first.started(Job("c", 0.0))
    with nothing_can_be_written(tmp_path):
        second = start()
        assert "locked" in second.problem
        assert [state_of(second, name) for name in "abc"] == ["done", "done", "queued"]
        assert [prompt.id for prompt, _ in second.rows.to_restore()] == ["c"]
        assert second.rows.restorable == 1
    machine.wait(TRY_AGAIN)
    second.memory(0, {})
    assert second.problem is None
    third = start()
    assert [state_of(third, name) for name in "abc"] == ["done", "done", "queued"]
    assert third.rows.job("c")["deaths"] == 1


def test_a_death_that_cannot_be_written_yet_sets_a_job_aside_all_the_same(start, tmp_path):
    first = start()
    first.accepted(queued("a"))
    first.started(Job("a", 0.0))
    with nothing_can_be_written(tmp_path):
        second = start(deaths=1)
        assert (second.rows.restorable, second.rows.quarantined, second.rows.to_restore()) == (0, 1, [])


@pytest.mark.skipif(os.name != "posix", reason="no limit on the size of files here")
def test_on_a_full_disk_jobs_are_told_as_they_are(start, tmp_path):
    import resource

    journal = start()
    for name in "ab":
        journal.accepted(queued(name))
    journal.started(Job("a", 0.0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        journal.ended(Outcome("a", True))
        journal.accepted(queued("c"))
        assert "cannot be written" in journal.problem
        assert [state_of(journal, name) for name in "abc"] == ["done", "queued", "queued"]
        with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
            assert file.execute("SELECT id, state FROM jobs").fetchall() == [("a", "running"), ("b", "queued")]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_to_clear_a_queue_longer_than_what_is_kept_back_drops_nothing_that_was_told_before(start, tmp_path):
    first = start()
    first.accepted(queued("ends"))
    first.accepted(queued("waits"))
    names = ["waits", *(f"p{n}" for n in range(BACKLOG))]
    columns = "number, session, state, outputs, graph, queued_at"
    copied = f"INSERT INTO jobs (id, {columns}) SELECT ?, {columns} FROM jobs WHERE id = 'waits'"
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        file.executemany(copied, ((name,) for name in names[1:]))
    file.close()
    behind(first)
    first.started(Job("ends", 0.0))
    first.ended(Outcome("ends", True))
    first.removed(names)
    assert first.rows.job("ends")["state"] == "done"
    assert start().rows.restorable == 0


@pytest.fixture
def saving(start, tmp_path):
    """A process whose job has come to the node that saves its clip."""
    output = tmp_path / "output"
    output.mkdir()
    journal = start(output)
    journal.accepted(queued("a"))
    journal.started(Job("a", 0.0))
    journal.before_node(NodeStart("a", "1", "SaveVideo", {"filename_prefix": "clip"}))
    return journal


def save(output):
    (output / "clip_00001_.mp4").write_bytes(b"".join(struct.pack(">I4s", 8, k) for k in (b"ftyp", b"mdat", b"moov")))


def test_a_job_that_saves_the_last_of_it_while_the_process_ends_in_order_is_done(start, tmp_path, saving):
    saving.close()
    save(tmp_path / "output")
    saving.ended(Outcome("a", True))
    second = start(tmp_path / "output")
    assert state_of(second, "a") == "done"
    assert second.rows.restorable == 0


def test_a_job_that_had_not_saved_it_when_the_process_ended_in_order_runs_again(start, tmp_path, saving):
    saving.close()
    second = start(tmp_path / "output")
    assert state_of(second, "a") == "queued"
    assert second.rows.job("a")["deaths"] == 0


def test_a_death_at_the_restart_itself_does_not_take_the_proof_that_a_job_was_done(start, tmp_path, saving):
    save(tmp_path / "output")
    with nothing_can_be_written(tmp_path):
        start(tmp_path / "output")
    assert state_of(start(tmp_path / "output"), "a") == "done"


def test_a_prompt_queued_once_more_under_the_id_of_one_that_was_done_is_run(start, tmp_path, saving):
    save(tmp_path / "output")
    saving.ended(Outcome("a", True))
    saving.accepted(queued("a"))
    assert [prompt.id for prompt, _ in start(tmp_path / "output").rows.to_restore()] == ["a"]


def test_how_an_earlier_life_under_the_same_process_id_ended_says_nothing_of_the_last_one(start, tmp_path, machine):
    """In a container all lives have one id; and who kills it whole takes the supervisor that would have told."""
    first = start()
    first.accepted(queued("a"))
    machine.wait(10)
    first.started(Job("a", 0.0))
    end = {"pid": os.getpid(), "reason": "asked", "detail": "was ended by SIGTERM", "time": machine.wall.now - 1}
    (tmp_path / "exits.jsonl").write_text(json.dumps(end) + "\n")
    second = start()
    assert (second.rows.job("a")["deaths"], second.rows.job("a")["error"]) == (1, "the process died while it ran")


def test_how_the_last_life_ended_counts(start, tmp_path, machine):
    first = start()
    first.accepted(queued("a"))
    first.started(Job("a", 0.0))
    end = {"pid": os.getpid(), "reason": "asked", "detail": "", "time": machine.wall.now}
    (tmp_path / "exits.jsonl").write_text(json.dumps(end) + "\n")
    assert start().rows.job("a")["deaths"] == 0


def test_a_process_that_starts_itself_anew_has_not_died_of_the_job_that_ran(tmp_path, machine):
    """As ComfyUI-Manager's restart button does it, by `os.execv`: its environment stays, and nothing is called."""
    environment: dict[str, str] = {}

    def begin(given):
        journal = Journal(tmp_path, wall=machine.wall, clock=machine.clock, environment=given)
        journal.open()
        return journal

    first = begin(environment)
    first.accepted(queued("a"))
    for _ in range(3):
        first.started(Job("a", 0.0))
        second = begin(environment)
        assert (second.rows.job("a")["deaths"], second.rows.job("a")["state"]) == (0, "queued")
        second.rows.adopt("a")
        first = second
    first.started(Job("a", 0.0))
    assert begin({}).rows.job("a")["deaths"] == 1


def test_what_waits_is_offered_however_long_nobody_was_there_or_whatever_the_clock_was_set_to(start, machine):
    start().accepted(queued("a"))
    machine.wall.now += 3 * KEPT_SECONDS
    second = start()
    assert second.rows.restorable == 1
    second.accepted(queued("new"))
    third = start()
    assert [prompt.id for prompt, _ in third.rows.to_restore()] == ["new"]


def test_of_what_was_left_the_count_goes_down_as_its_client_queues_it_again(start):
    first = start()
    first.accepted(queued("a"))
    first.accepted(queued("b"))
    second = behind(start())
    assert second.rows.restorable == 2
    second.accepted(queued("a"))
    second.memory(0, {})
    assert second.rows.restorable == 1
    second.accepted(queued("new"))
    second.memory(0, {})
    assert second.rows.restorable == 1


def test_an_end_in_order_is_no_death_though_nothing_can_be_written_at_it(start, tmp_path):
    first = start()
    first.accepted(queued("a"))
    behind(first).started(Job("a", 0.0))
    with nothing_can_be_written(tmp_path):
        first.close()
    assert (start().rows.job("a")["deaths"], start().rows.restorable) == (0, 1)

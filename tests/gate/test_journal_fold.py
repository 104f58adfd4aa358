"""What is told of one prompt in several statements, and in one, makes the same row."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from resource_gate.gate.host import Job, Outcome, Queued
from resource_gate.gate.journal.fold import folded
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.journal.sql import ACCEPTED, ENDED, FAILED, PRUNE_NUMBER, RAN, REMOVED, STARTED, WHOLE
from resource_gate.gate.journal.store import JournalStore

COLUMNS = (
    "id, number, session, state, graph, outputs, extra, client, stripped, attempts, deaths, queued_at, started_at, "
    "ended_at, seconds, peak_ram, peak_vram, node, error_type, error, changed, title, level, actions, freed"
)


def accepted(name, number=1.0):
    return ACCEPTED, (name, number, "s", '{"1":{}}', '["1"]', "{}", "me", "", 10.0, "a title")


def started(name):
    return STARTED, (11.0, name, "s")


def ended(name, sql=ENDED):
    return sql, ("done" if sql == ENDED else "failed", 12.0, 1.0, 2**30, "{}", "", "", "", "warning", 2, 99, name, "s")


def removed(name):
    return REMOVED, (13.0, name, "s")


@pytest.fixture
def rows(tmp_path, machine):
    """Rows that statements make, after those that were there before."""
    count = itertools.count()

    def made(statements, before=()):
        store = JournalStore(tmp_path / str(next(count)), machine.wall, machine.clock)
        store.open()
        for one in (*before, *statements):
            store._commit(store._connection, [one])
        found = store.read(f"SELECT {COLUMNS} FROM jobs ORDER BY seq")
        store.close()
        return found

    return made


def test_a_prompt_from_its_queueing_to_its_end_is_one_statement_with_the_same_row(rows):
    told = [accepted("a"), started("a"), ended("a")]
    assert [sql for sql, _ in folded(told)] == [WHOLE]
    assert rows(folded(told)) == rows(told)
    assert rows(told)[0][4] is None


def test_a_prompt_that_was_written_as_queued_before_is_one_more_statement(rows):
    told = [started("a"), ended("a")]
    assert [sql for sql, _ in folded(told)] == [RAN]
    before = [accepted("a", 2.0), accepted("b")]
    assert rows(folded(told), before) == rows(told, before)


def test_prompts_keep_the_order_in_which_they_were_queued(rows):
    told = [accepted("a"), accepted("b"), started("a"), accepted("c"), ended("a"), started("b"), ended("b")]
    assert [values[0] for _, values in folded(told)] == ["a", "b", "c"]
    assert rows(folded(told)) == rows(told)


@pytest.mark.parametrize(
    "told",
    [
        [accepted("a")],
        [accepted("a"), started("a")],
        [accepted("a"), started("a"), ended("a", FAILED)],
        [accepted("a"), removed("a"), accepted("a"), started("a"), ended("a")],
        [accepted("a"), accepted("a"), started("a"), ended("a"), started("a"), ended("a")],
        [accepted("a"), started("a"), ("UPDATE jobs SET state = 'queued' WHERE id = ?", ("a",)), started("a")],
    ],
)
def test_what_is_not_whole_or_has_more_to_it_stays_as_it_was_told(rows, told):
    assert folded(told) == told


def test_a_pruning_in_between_is_no_reason_not_to(rows):
    told = [accepted("a"), (PRUNE_NUMBER, (5000,)), started("a"), ended("a")]
    assert [sql for sql, _ in folded(told)] == [WHOLE, PRUNE_NUMBER]


def test_what_a_damaged_record_left_is_passed_on(rows):
    told = [(ACCEPTED, ("a", "few")), (STARTED, ()), (ENDED, ("a",))]
    assert folded(told) == told


def test_any_interleaving_of_some_prompts_ends_in_the_same_rows(rows):
    stories = {
        "a": [accepted("a"), started("a"), ended("a")],
        "b": [accepted("b"), removed("b")],
        "c": [accepted("c"), started("c"), ended("c", FAILED)],
        "d": [accepted("d"), started("d")],
    }
    names = [name for name, story in stories.items() for _ in story]
    for seed in range(40):
        order = Random(seed).sample(names, len(names))
        left = {name: iter(story) for name, story in stories.items()}
        told = [next(left[name]) for name in order]
        assert rows(folded(told)) == rows(told)


def test_a_journal_that_writes_behind_tells_the_same_as_one_that_writes_at_once(tmp_path, machine):
    pages = []
    for behind in (True, False):
        journal = Journal(tmp_path / str(behind), wall=machine.wall, clock=machine.clock)
        journal.open()
        if behind:
            journal.write_behind()
        for n in range(5):
            journal.accepted(Queued(f"p{n}", float(n), {"1": {"class_type": "X"}}, ("1",), {"client_id": "me"}))
            journal.started(Job(f"p{n}", float(n)))
            journal.ended(Outcome(f"p{n}", n != 3, "" if n != 3 else "ValueError"), 7, {"vram0": 8})
        pages.append(journal.rows.jobs(10))
        journal.close()
    assert pages[0] == pages[1]

"""What is kept in mapped memory until SQLite has it: found again after a kill, once, in its order."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from resource_gate.gate.host import Job, Outcome, Queued
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.journal.redo import HEADER, Redo
from resource_gate.gate.journal.sql import BY_NAME, ENDED, REMOVED, STARTED
from resource_gate.gate.journal.store import JournalStore


@pytest.fixture
def store(tmp_path, machine):
    """Open a store that writes behind, with nobody who writes; those before are left as a kill leaves them."""
    opened = []

    def begin(sync_each=False):
        one = JournalStore(tmp_path, machine.wall, machine.clock)
        assert one.open()
        assert one.write_behind(lambda: None, sync_each=sync_each)
        opened.append(one)
        return one

    yield begin
    opened[-1].close()


def insert(name):
    return (BY_NAME["accepted"], (name, 0.0, "s", "{}", "[]", "{}", None, "", 1.0, "title"))


def in_file(tmp_path):
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        return [row[0] for row in file.execute("SELECT id FROM jobs ORDER BY seq")]


def test_what_a_killed_process_kept_back_is_taken_over_once_and_in_its_order(store, tmp_path, caplog):
    first = store()
    for n in range(5):
        first.write([insert(f"p{n}")])
    assert (in_file(tmp_path), first.kept_back) == ([], True)
    with caplog.at_level("INFO"):
        store()
    assert "took over 5 entries" in caplog.text
    assert in_file(tmp_path) == [f"p{n}" for n in range(5)]
    store()
    assert in_file(tmp_path) == [f"p{n}" for n in range(5)]


def test_what_was_written_just_before_the_kill_is_not_written_again(store, tmp_path):
    first = store()
    first.write([insert("a")])
    kept = (tmp_path / "journal.redo").read_bytes()
    first.drain()
    assert in_file(tmp_path) == ["a"]
    (tmp_path / "journal.redo").write_bytes(kept)  # as if it had died between the file's commit and forgetting it
    store()
    assert in_file(tmp_path) == ["a"]


def test_an_entry_that_is_wrong_by_itself_holds_up_no_other(store, tmp_path):
    one = store()
    one.write([insert("a"), (BY_NAME["accepted"], ("too", "few")), insert("b")])
    one.drain()
    assert in_file(tmp_path) == ["a", "b"] and one.problem is None


def test_reading_sees_what_is_kept_back(store):
    one = store()
    one.write([insert("a")])
    assert one.read("SELECT id FROM jobs") == [("a",)]
    assert not one.kept_back


def test_statements_of_another_kind_are_written_at_once_behind_those_kept_back(store, tmp_path):
    one = store()
    one.write([insert("a")])
    one.write([("UPDATE jobs SET state = 'done'", ())])
    assert not one.kept_back
    assert one.read("SELECT id, state FROM jobs") == [("a", "done")]


def test_a_record_that_does_not_fit_any_more_goes_straight_into_the_file(store, tmp_path):
    one = store()
    big = (BY_NAME["accepted"], ("big", 0.0, "s", "x" * 5_000_000, "[]", "{}", None, "", 1.0, ""))
    one.write([insert("a")])
    one.write([big])
    one.write([insert("b")])
    assert in_file(tmp_path) == ["a", "big"]
    store()
    assert in_file(tmp_path) == ["a", "big", "b"]


def test_a_torn_record_and_what_lies_behind_it_from_earlier_do_not_count(tmp_path):
    redo = Redo(tmp_path, 4096)
    redo.left(0)
    for n in range(3):
        assert redo.append([(REMOVED, (0.0, f"old{n}", "s"))])
    redo.begin_again()
    assert redo.append([(STARTED, (0.0, "new", "s"))])
    redo.close()
    assert Redo(tmp_path, 4096).left(0) == [(STARTED, (0.0, "new", "s"))]
    data = bytearray((tmp_path / "journal.redo").read_bytes())
    data[HEADER.size + 3] ^= 1
    (tmp_path / "journal.redo").write_bytes(data)
    assert Redo(tmp_path, 4096).left(0) == []


def test_it_says_when_it_is_full_and_has_room_again_afterwards(tmp_path):
    redo = Redo(tmp_path, 1024)
    redo.left(0)
    statement = (STARTED, (0.0, "x" * 100, "s"))
    while redo.append([statement]):
        pass
    assert not redo.append([("SELECT 1", ())])
    redo.begin_again()
    assert redo.append([statement])


def test_numbers_go_on_from_what_the_file_holds(tmp_path):
    redo = Redo(tmp_path, 4096)
    assert redo.left(41) == []
    redo.append([(ENDED, ("done",))])
    assert redo.number == 42
    redo.close()
    again = Redo(tmp_path, 4096)
    assert again.left(41) == [(ENDED, ("done",))]
    assert Redo(tmp_path, 4096).left(42) == []


def test_an_answer_waits_until_it_is_on_the_disk_and_everything_is_in_the_file_at_the_end(tmp_path):
    journal = Journal(tmp_path)
    journal.open()
    journal.write_behind()

    async def post():
        for n in range(20):
            journal.accepted(Queued(f"p{n}", float(n), {}, ("1",)))
            await journal.on_disk()
            assert not journal._store.unsynced
        await asyncio.gather(*(journal.on_disk() for _ in range(10)))

    asyncio.run(post())
    for n in range(20):
        journal.started(Job(f"p{n}", float(n)))
        journal.ended(Outcome(f"p{n}", True))
    assert {job["state"] for job in journal.rows.jobs(50)} == {"done"}
    journal.close()
    assert in_file(tmp_path) == [f"p{n}" for n in range(20)]


def test_what_nobody_waits_for_is_on_the_disk_soon_all_the_same(tmp_path):
    journal = Journal(tmp_path)
    journal.open()
    journal.write_behind()
    journal.accepted(Queued("a", 0.0, {}, ("1",)))
    give_up = time.monotonic() + 20
    while journal._store.unsynced:
        assert time.monotonic() < give_up, "it is never synced"
        time.sleep(0.01)
    while not in_file(tmp_path):
        assert time.monotonic() < give_up, "SQLite never has it"
        time.sleep(0.01)
    journal.close()


def test_behind_the_prompts_backs_too_a_locked_file_is_told_waited_for_and_made_up_for(tmp_path, machine):
    journal = Journal(tmp_path, clock=machine.clock)
    journal.open()
    journal.write_behind()
    other = sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    give_up = time.monotonic() + 30
    journal.accepted(Queued("a", 0.0, {}, ("1",)))
    while journal.problem is None:
        assert time.monotonic() < give_up, "nobody says that it cannot be written"
        time.sleep(0.01)
    assert "database is locked" in journal.problem
    journal.started(Job("a", 0.0))
    journal.ended(Outcome("a", True))
    other.execute("COMMIT")
    other.close()
    machine.wait(60)
    journal.memory(0, {})
    assert journal.problem is None
    assert [job["state"] for job in journal.rows.jobs(5)] == ["done"]
    journal.close()


def test_where_answers_cannot_wait_and_are_to_each_prompt_is_on_the_disk_at_once(store):
    one = store(sync_each=True)
    one.write([insert("a")])
    assert one.kept_back
    assert not one.unsynced


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_process_killed_in_the_middle_of_it_loses_nothing_that_it_was_told(tmp_path):
    code = (
        "import sys, pathlib; from resource_gate.gate.journal.journal import Journal;"
        "from resource_gate.gate.host import Job, Outcome, Queued;"
        "j = Journal(pathlib.Path(sys.argv[1])); j.open(); j.write_behind()\n"
        "for n in range(10**6):\n"
        "    j.accepted(Queued(str(n), n, {}, ('1',))); j.started(Job(str(n), n)); j.ended(Outcome(str(n), True))\n"
        "    print(n, flush=True)"
    )
    told = -1
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for line in child.stdout:
            told = int(line)
            if told >= 400:
                os.kill(child.pid, signal.SIGKILL)
                break
        rest = child.communicate()[0].split()
        told = max([told, *map(int, rest[:-1])])
        journal = Journal(tmp_path)
        journal.open()
        done = [job["id"] for job in journal.rows.jobs(10**6) if job["state"] == "done"]
        assert set(map(str, range(told + 1))) <= set(done)
        assert len(done) == len(set(done))
        journal.rows._write([("DELETE FROM jobs", ())])
        journal.close()


def test_a_number_larger_than_sqlite_has_holds_up_no_other_entry_and_no_later_start(store, tmp_path, caplog):
    first = store()
    first.write([insert("a"), (BY_NAME["predicted"], (2**63, "a", "s")), insert("b")])
    second = store()
    assert second.is_open and second.problem is None
    assert in_file(tmp_path) == ["a", "b"]
    assert "cannot take is left out" in caplog.text

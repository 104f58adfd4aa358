"""The journal on a disk that is full, damaged, read-only, locked, or another's."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from resource_gate.gate.finished import is_whole_mp4
from resource_gate.gate.host import Job, NodeStart, Outcome, Queued
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.journal.note import Note, RunningNote
from resource_gate.gate.journal.schema import MIGRATIONS
from resource_gate.gate.journal.store import TRY_AGAIN


@pytest.fixture
def start(tmp_path, machine):
    begun = []

    def begin(folder=tmp_path):
        journal = Journal(folder, wall=machine.wall, clock=machine.clock)
        journal.open()
        begun.append(journal)
        return journal

    yield begin
    for journal in begun:
        journal.close()


def queued(name, size=10):
    return Queued(name, 0.0, {"1": {"class_type": "x" * size}}, ("1",))


@contextmanager
def nothing_is_taken(folder):
    other = sqlite3.connect(folder / "journal.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


def ids(journal):
    return [job["id"] for job in journal.rows.jobs(500)]


def test_a_damaged_file_is_put_aside_and_named_and_a_new_one_begun(start, tmp_path, caplog):
    (tmp_path / "journal.sqlite3").write_bytes(b"this is no database at all" * 100)
    with caplog.at_level(logging.ERROR):
        journal = start()
    journal.accepted(queued("a"))
    assert (ids(journal), journal.problem) == (["a"], None)
    aside = [p.name for p in tmp_path.iterdir() if ".damaged-" in p.name]
    assert len(aside) == 1
    assert aside[0] in caplog.text
    assert (tmp_path / aside[0]).read_bytes().startswith(b"this is no database")


def test_a_file_whose_damage_sqlite_cannot_put_into_words_is_put_aside_too(start, tmp_path):
    first = start()
    first.accepted(queued("a"))
    first.close()
    path = tmp_path / "journal.sqlite3"
    whole = path.read_bytes()
    # In the table's own definition: the error of SQLite quotes it, and Python cannot read the quote.
    damaged = whole.replace(b"deaths INTEGER NOT NULL", b"deaths INTEGER NOT \x80ULL", 1)
    assert damaged != whole
    path.write_bytes(damaged)
    second = start()
    second.accepted(queued("b"))
    assert second.problem is None and "b" in ids(second)


def test_a_file_with_damaged_pages_is_put_aside_too(start, tmp_path):
    first = start()
    for n in range(50):
        first.accepted(queued(f"p{n}", 2000))
    first.close()
    path = tmp_path / "journal.sqlite3"
    data = bytearray(path.read_bytes())
    data[4096 : len(data) - 4096] = os.urandom(len(data) - 8192)
    path.write_bytes(data)
    journal = start()
    journal.accepted(queued("a"))
    assert (ids(journal), journal.problem) == (["a"], None)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("journal.sqlite3.damaged-")]


@pytest.mark.skipif(os.name != "posix", reason="no limit on the size of files here")
def test_a_disk_that_is_full_is_told_and_made_up_for_when_there_is_room_again(start, tmp_path, machine, caplog):
    journal = start()
    journal.accepted(queued("before"))
    size = sum(p.stat().st_size for p in tmp_path.iterdir())
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        for n in range(20):
            journal.accepted(queued(f"p{n}", 20_000))
            machine.wait(TRY_AGAIN)
        journal.started(Job("before", 0.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written" in journal.problem
    assert caplog.text.count("the journal is behind") == 1
    machine.wait(TRY_AGAIN)
    journal.memory(1, {})
    assert journal.problem is None
    assert sorted(ids(journal)) == sorted(["before", *(f"p{n}" for n in range(20))])
    assert {job["id"] for job in journal.rows.jobs(500) if job["state"] == "running"} == {"before"}
    assert "nothing is missing" in caplog.text
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_another_has_locked_is_waited_for_briefly_and_written_later(start, tmp_path, machine):
    journal = start()
    other = sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.accepted(queued("a"))
    assert "locked" in journal.problem
    journal.accepted(queued("b"))
    other.execute("COMMIT")
    assert other.execute("SELECT id FROM jobs").fetchall() == []
    assert ids(journal) == ["b", "a"]
    machine.wait(TRY_AGAIN)
    journal.accepted(queued("c"))
    assert other.execute("SELECT id FROM jobs").fetchall() == [("a",), ("b",), ("c",)]
    assert (ids(journal), journal.problem) == (["c", "b", "a"], None)
    other.close()


def test_a_disk_that_hangs_as_it_is_tried_again_holds_up_no_node(start, tmp_path, machine):
    journal = start()
    journal.accepted(queued("a"))
    with nothing_is_taken(tmp_path):
        journal.started(Job("a", 0.0))
    assert "locked" in journal.problem
    trying = threading.Thread(target=journal.memory, args=(1, {}))

    def before_a_node():
        journal.before_node(NodeStart("a", "7", "Sampler"))
        journal.memory(2, {}, catch_up=False)

    node = threading.Thread(target=before_a_node)
    with journal._store._lock:  # as whoever waits for the disk has it
        trying.start()
        trying.join(0.2)  # it has come as far as it can
        node.start()
        node.join(20)
        assert trying.is_alive() and not node.is_alive()
    trying.join(20)
    assert not trying.is_alive()


def test_a_folder_that_cannot_be_written_is_told_and_nothing_raises(start, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    journal = start(blocked / "user")
    for call in (
        lambda: journal.accepted(queued("a")),
        lambda: journal.started(Job("a", 0.0)),
        lambda: journal.memory(1, {}),
        lambda: journal.put_back("a"),
        lambda: journal.ended(Outcome("a", True)),
        lambda: journal.removed(["a"]),
        journal.rows.count,
        journal.close,
    ):
        call()
    assert "cannot be used" in journal.problem
    assert (ids(journal), journal.rows.to_restore(), journal.rows.restorable) == ([], [], 0)
    assert caplog.text.count("the journal is off") == 1


def test_another_process_has_it_until_that_ends_however_it_ends(start, tmp_path):
    code = (
        "import sys, pathlib; from resource_gate.gate.journal.journal import Journal;"
        "j = Journal(pathlib.Path(sys.argv[1])); j.open(); print(j.problem, flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "None\n"
        second = start()
        assert f"another process ({other.pid}) keeps the journal" in second.problem
        assert "--user-directory" in second.problem
        second.accepted(queued("a"))
        assert ids(second) == []
    finally:
        other.kill()
        other.communicate()
    third = start()
    third.accepted(queued("b"))
    assert (ids(third), third.problem) == (["b"], None)


def test_one_of_a_later_version_is_left_as_it_is(start, tmp_path):
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        file.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        file.execute("CREATE TABLE future (x)")
    journal = start()
    assert "version" in journal.problem
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        assert file.execute("SELECT count(*) FROM future").fetchone() == (0,)
    assert not [p for p in tmp_path.iterdir() if "damaged" in p.name]


def test_a_new_file_has_the_present_version_and_is_synced_fully(start, tmp_path):
    start()
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        assert file.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_empty_file_of_a_start_that_was_killed_is_taken(start, tmp_path):
    (tmp_path / "journal.sqlite3").touch()
    journal = start()
    journal.accepted(queued("a"))
    assert ids(journal) == ["a"]


def test_threads_do_not_get_into_each_others_way(start):
    journal = start()

    def fill(name):
        for n in range(25):
            journal.accepted(queued(f"{name}{n}"))
            journal.started(Job(f"{name}{n}", 0.0))
            journal.ended(Outcome(f"{name}{n}", True))

    threads = [threading.Thread(target=fill, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [job["state"] for job in journal.rows.jobs(500)] == ["done"] * 100


def test_a_note_is_read_back_and_a_torn_one_is_none(tmp_path):
    note = RunningNote(tmp_path)
    assert note.read() == Note()
    note.write(Note("a", "1 Save", 5, {"vram0": 6}, {"1": ["/x/clip", 3]}))
    assert RunningNote(tmp_path).read() == Note("a", "1 Save", 5, {"vram0": 6}, {"1": ["/x/clip", 3]})
    note.write(Note("a", "n" * 100_000))
    assert note.read() == Note("a", "n" * 200)
    data = bytearray((tmp_path / "journal.running").read_bytes())
    data[20] ^= 1
    (tmp_path / "journal.running").write_bytes(data)
    assert RunningNote(tmp_path).read() == Note()


def box(kind, body):
    return (len(body) + 8).to_bytes(4, "big") + kind + body


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (box(b"ftyp", b"isom") + box(b"mdat", b"x" * 50) + box(b"moov", b"y" * 9), True),
        (box(b"ftyp", b"isom") + b"\0\0\0\1mdat" + (66).to_bytes(8, "big") + b"x" * 50 + box(b"moov", b""), True),
        (box(b"ftyp", b"isom") + box(b"mdat", b"x" * 50), False),
        (box(b"ftyp", b"isom") + b"\0\0\0\0mdat" + b"x" * 50 + box(b"moov", b"y" * 9), False),
        (box(b"ftyp", b"isom") + box(b"mdat", b"x" * 50) + box(b"moov", b"y" * 9)[:-1], False),
        (b"", False),
        (b"abc", False),
        (b"\xff" * 64, False),
    ],
)
def test_a_clip_is_whole_when_its_boxes_add_up_with_the_index_among_them(tmp_path, data, whole):
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    assert is_whole_mp4(path) is whole

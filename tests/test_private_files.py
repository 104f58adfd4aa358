"""What is written about a user's prompts can be read by that user alone."""

from __future__ import annotations

import os
import stat
import sys
import time

import pytest

from resource_gate.batch.joblist.job import Job, JobList
from resource_gate.batch.report.write import write_report
from resource_gate.batch.runner.journal import Journal as BatchJournal
from resource_gate.batch.supervisor.exits import Exit, ExitLog, Reason
from resource_gate.extension import Extension
from resource_gate.gate.attempt import AttemptNote
from resource_gate.gate.host import Queued
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.prediction.history import Run
from resource_gate.host.embedded import EmbeddedHost
from resource_gate.host.embedded_kinds import NodeKind, NodeResult
from resource_gate.settings import SettingsStore

posix = pytest.mark.skipif(sys.platform == "win32", reason="no modes; a user's folders are private by inheritance")


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@posix
def test_journal_notes_settings_and_exits_are_for_their_owner_only(tmp_path, open_umask):
    journal = Journal(tmp_path)
    journal.open()
    journal.accepted(Queued("a", 1.0, {"1": {"class_type": "X", "inputs": {}}}, ("1",)))
    SettingsStore(tmp_path / "settings.json", {}).change({"gate": {"wait": 5}})
    log = ExitLog(tmp_path, print, max_bytes=10)
    for _ in range(2):  # the second time the older half is dropped, into a new file
        log.add(Exit(1.5, 7, Reason.SIGNAL, "was killed", None, "SIGKILL", 60.0))
    found = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir() if p.is_file()}
    journal.close()
    assert {"journal.sqlite3", "journal.sqlite3-wal", "journal.running", "journal.lock", "settings.json"} <= set(found)
    assert len(found) >= 6 and set(found.values()) == {0o600}, found


@posix
def test_what_the_whole_extension_leaves_behind_is_for_its_owner_only(tmp_path, open_umask):
    host = EmbeddedHost(tmp_path)
    extension = Extension(host)
    extension.start()
    kind = NodeKind("Trivial", lambda context: NodeResult(), {}, output_node=True)
    host.nodes["Trivial"] = kind
    host.start()
    host.submit({"1": {"class_type": "Trivial", "inputs": {}}})
    while host.queue.remaining:
        time.sleep(0.01)
    extension.store.change({"gate": {"wait": 5}})
    extension.stop()
    host.stop()
    found = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("__resource_gate/*") if p.is_file()}
    assert {"journal.sqlite3", "runs.jsonl", "settings.json"} <= set(found)
    assert set(found.values()) == {0o600}, found


@posix
def test_a_note_of_a_run_that_tries_a_size_is_for_its_owner_only(tmp_path, open_umask):
    AttemptNote(tmp_path).write("job", Run("family", (1,), 1, 0, 1.0, False))
    assert stat.S_IMODE((tmp_path / "attempt.json").stat().st_mode) == 0o600


@posix
def test_journal_and_report_of_a_batch_are_for_their_owner_only(tmp_path, open_umask):
    jobs = JobList((Job(0, "one", {"1": {"class_type": "X", "inputs": {}}}),), tmp_path / "workflow.json", "test")
    journal = BatchJournal.create(tmp_path / "batch", jobs, {"id": "x"})
    write_report(journal.report(), tmp_path / "batch")
    found = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "batch").iterdir()}
    journal.close()
    assert {"journal.sqlite3", "journal.sqlite3-wal", "report.json", "report.html"} <= set(found)
    assert set(found.values()) == {0o600}, found

"""What is written about a user's prompts can be read by that user alone."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from resource_gate.batch.supervisor_exits import Exit, ExitLog, Reason
from resource_gate.gate.host import Queued
from resource_gate.gate.journal import Journal
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

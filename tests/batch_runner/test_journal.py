from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from resource_gate.batch.joblist.job import JobList
from resource_gate.batch.runner.journal import Journal, JournalError, Taken
from resource_gate.batch.runner.journal_schema import SCHEMA, VERSION
from resource_gate.batch.runner.result import SERVER, STOPPED, JobResult

DONE = JobResult(
    True,
    seconds=2.0,
    wait=0.5,
    peak_ram=7,
    peak_vram={"vram0": 9},
    expected_ram=8,
    outputs=(Path("/out/a.mp4"),),
    server="A",
)
FAILED = JobResult(False, "a node's own", "5 X: ValueError: no", "5 X", server="A")


def test_what_was_written_down_is_there_again_as_it_was(journal, job, tmp_path):
    folder = journal.folder
    assert journal.job(3) == job(3)
    journal.close()
    again = Journal.open(folder)
    assert again.job(3).key == job(3).key and again.keys() == [job(index).key for index in range(5)]
    assert again.due() == [0, 1, 2, 3, 4]
    again.close()


def test_two_runners_on_one_journal_refuse(journal):
    ask = "import sys; from pathlib import Path; from resource_gate.batch.runner.journal import Journal\n"
    ask += "try: Journal.open(Path(sys.argv[1]))\nexcept OSError as error: print(error)"
    told = subprocess.run([sys.executable, "-c", ask, journal.folder], capture_output=True, text=True, check=True)
    assert "keeps the journal in" in told.stdout


def test_who_only_looks_is_let_in_while_a_runner_works(journal):
    journal.start(0, "A")
    reader = Journal.read(journal.folder)
    assert reader.counts()["running"] == 1
    reader.close()
    journal.end(0, DONE)


def test_a_lock_ends_with_its_holder(journal):
    folder = journal.folder
    journal.close()
    hold = "import sys, os; from pathlib import Path; from resource_gate.batch.runner.journal import Journal\n"
    hold += "journal = Journal.open(Path(sys.argv[1])); journal.start(1, 'A'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", hold, folder], check=False)
    again = Journal.open(folder)
    assert again.counts()["running"] == 1
    again.close()


def test_a_second_batch_in_the_same_folder_is_refused(journal, job):
    folder = journal.folder
    journal.close()
    with pytest.raises(JournalError, match="there is a batch already"):
        Journal.create(folder, JobList((job(),), Path("w"), "s"), {})


def test_where_there_is_no_batch_it_says_so_and_makes_none(tmp_path):
    for look in (Journal.open, Journal.read):
        with pytest.raises(JournalError, match="there is no batch in"):
            look(tmp_path)
        assert not (tmp_path / "journal.sqlite3").exists()


def test_a_journal_of_another_version_is_left_alone(journal):
    folder = journal.folder
    journal.close()
    with sqlite3.connect(folder / "journal.sqlite3") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="version 99"):
        Journal.open(folder)


@pytest.fixture
def of_version_1(tmp_path):
    """The folder of a batch of one job, done, and one to do, as version 1 wrote it."""
    folder = tmp_path / "old"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "journal.sqlite3")) as database, database:
        for statement in SCHEMA:
            database.execute(statement)
        for index, (state, peak) in enumerate((("done", 7), ("planned", None))):
            database.execute(
                "INSERT INTO jobs (idx, name, key, graph, files, row, state, peak_ram) VALUES (?,?,?,?,?,?,?,?)",
                (index, f"clip{index}", f"key{index}", "{}", "[]", "{}", state, peak),
            )
        database.execute("PRAGMA user_version = 1")
    return folder


def version_of(folder):
    with closing(sqlite3.connect(folder / "journal.sqlite3")) as database:
        return database.execute("PRAGMA user_version").fetchone()[0]


def test_a_journal_of_an_earlier_version_goes_on_with_what_it_holds(of_version_1):
    journal = Journal.open(of_version_1)
    assert version_of(of_version_1) == VERSION and journal.due() == [1]
    journal.start(1, "A")
    journal.end(1, DONE)
    old, new = journal.report()["jobs"]
    assert (old["state"], old["peak_ram"], old["expected_ram"]) == ("done", 7, None)
    assert (new["state"], new["peak_ram"], new["expected_ram"]) == ("done", 7, 8)
    journal.close()
    again = Journal.open(of_version_1)
    assert again.counts()["done"] == 2, "and is brought there once"
    again.close()


def test_who_only_looks_at_a_journal_of_an_earlier_version_leaves_it_so(of_version_1):
    reader = Journal.read(of_version_1)
    assert [job["expected_ram"] for job in reader.report()["jobs"]] == [None, None]
    assert reader.counts()["done"] == 1
    reader.close()
    assert version_of(of_version_1) == 1


def test_a_new_journal_and_one_that_was_brought_there_have_the_same_columns(journal, of_version_1):
    Journal.open(of_version_1).close()
    columns = []
    for folder in (journal.folder, of_version_1):
        with closing(sqlite3.connect(folder / "journal.sqlite3")) as database:
            columns.append(database.execute("PRAGMA table_info(jobs)").fetchall())
    assert columns[0] == columns[1]


def test_a_journal_that_cannot_be_brought_to_this_version_stays_as_it_is(of_version_1):
    with closing(sqlite3.connect(of_version_1 / "journal.sqlite3")) as database:
        database.execute("ALTER TABLE jobs ADD COLUMN expected_ram TEXT")
    for _ in range(2):
        with pytest.raises(JournalError, match="cannot be used: duplicate column"):
            Journal.open(of_version_1)
    assert version_of(of_version_1) == 1


def test_a_journal_that_was_being_made_when_its_runner_died_is_no_batch_with_half_its_jobs(tmp_path):
    ask = "import sys, os; from pathlib import Path; from resource_gate.batch.joblist.job import Job, JobList\n"
    ask += "from resource_gate.batch.runner.journal import Journal\n"
    ask += "class Jobs:\n  workflow, source = Path('w'), 's'\n  @property\n  def jobs(self):\n"
    ask += "    yield Job(0, 'a', {})\n    os.kill(os.getpid(), 9)\n"
    ask += "Journal.create(Path(sys.argv[1]), Jobs(), {})"
    assert subprocess.run([sys.executable, "-c", ask, tmp_path], check=False).returncode == -9
    with pytest.raises(JournalError):
        Journal.open(tmp_path)
    made = Journal.create(tmp_path, JobList((), Path("w"), "s"), {})
    assert made.counts()["planned"] == 0
    made.close()


def test_what_an_earlier_runner_was_at_comes_first_and_asks_for_the_same_attempt(journal):
    journal.start(0, "A")
    journal.end(0, DONE)
    assert journal.start(2, "A") == 1
    journal.submitted(2, 2, "id", "A")
    assert journal.due() == [2, 1, 3, 4]
    assert journal.start(2, "A") == 2


def test_a_job_that_was_stopped_gets_a_prompt_of_its_own_next_time(journal):
    journal.start(0, "A")
    journal.submitted(0, 1, "id", "A")
    journal.end(0, JobResult(False, STOPPED, "stopped"))
    assert journal.due()[0] == 0 and journal.start(0, "A") == 2


def test_a_job_whose_server_failed_asks_for_the_same_prompt_again(journal):
    journal.start(0, "A")
    journal.submitted(0, 1, "id", "A")
    journal.end(0, JobResult(False, SERVER, "gone"))
    assert journal.counts()["planned"] == 5 and journal.start(0, "A") == 1


def test_failed_jobs_are_planned_again_with_new_prompts_and_done_ones_are_not(journal):
    for index, result in enumerate((DONE, FAILED, FAILED)):
        journal.start(index, "A")
        journal.submitted(index, 1, "id", "A")
        journal.end(index, result)
    assert journal.plan_failed_again() == 2
    assert journal.due() == [1, 2, 3, 4] and journal.start(1, "A") == 2


def test_the_report_tells_all_of_it(journal):
    journal.set_meta(servers=["A"], tiers={"warning": 0.8, "critical": 0.9, "emergency": 0.95})
    for index, result in enumerate((DONE, FAILED)):
        journal.start(index, "A")
        journal.submitted(index, 1, "id", "A")
        journal.submitted(index, 2, "id", "A")
        journal.sample(1000.0 + index, "A", 50 + index, 100, 0.5 + index / 100)
        journal.end(index, result)
    told = journal.report()
    assert told["batch"] | {"started_at": 0, "ended_at": 0} == {
        "id": journal.meta["id"], "workflow": "workflow.json", "source": "rows.csv", "servers": ["A"],
        "started_at": 0, "ended_at": 0, "done": 1, "failed": 1, "total": 5, "retried": 2,
    }  # fmt: skip
    done, failed = told["jobs"][:2]
    assert (done["seconds"], done["wait"], done["peak_ram"], done["peak_vram"]) == (2.0, 0.5, 7, {"vram0": 9})
    assert (done["expected_ram"], failed["expected_ram"]) == (8, None)
    assert done["outputs"] == ["/out/a.mp4"] and done["attempts"] == 2 and done["server"] == "A"
    assert (failed["state"], failed["error"], failed["node"]) == ("failed", FAILED.error, "5 X")
    assert [(s["used"], s["limit"], s["fraction"]) for s in told["samples"]] == [(50, 100, 0.5), (51, 100, 0.51)]
    assert told["tiers"]["warning"] == 0.8


def test_a_long_batch_keeps_its_highest_samples_in_the_report(journal):
    for number in range(9000):
        journal.sample(float(number), "A", number, 10000, 0.99 if number == 4321 else 0.1)
    journal.set_meta(servers=["A"])
    samples = journal.report()["samples"]
    assert len(samples) < 5000
    assert max(samples, key=lambda sample: sample["fraction"])["time"] == 4321.0


def test_the_lock_error_is_one_of_the_systems(tmp_path):
    assert issubclass(Taken, OSError)


@pytest.mark.skipif(os.name != "posix", reason="no limit on the size of files here")
def test_a_disk_that_takes_nothing_is_told_as_that_and_later_the_journal_goes_on(journal):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        with pytest.raises(sqlite3.OperationalError, match="disk"):
            journal.set_meta(large="x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.set_meta(small=1)
    assert journal.meta["small"] == 1 and "large" not in journal.meta

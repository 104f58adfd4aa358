from __future__ import annotations

from pathlib import Path

import pytest

from resource_gate.batch.batch_work import separator_for
from resource_gate.batch.runner.book import Book
from resource_gate.batch.runner.breaker import Breaker
from resource_gate.batch.runner.outputs import files_of, output_names
from resource_gate.batch.runner.result import JobResult
from resource_gate.batch.runner.run import run_on_one
from resource_gate.batch.runner.server import Server
from resource_gate.batch.runner.stopping import Stopping

LOST = JobResult(False, "lost", "it died", cause={"code": "forgot"})
GOOD = JobResult(True)


def run(journal, options, fake, stopping=None, show=lambda event: None):
    server = Server(fake.url)
    try:
        return run_on_one(journal, options, Book(journal, show).tell, stopping or Stopping(), server)
    finally:
        server.close()


def test_every_job_runs_once_in_order_and_ends_in_the_journal(journal, options, fake):
    told = []
    assert run(journal, options, fake, show=told.append) == ""
    assert journal.counts()["done"] == 5 and len(set(fake.sent)) == 5
    assert [event["name"] for event in told if event["event"] == "job_ended"] == [f"job{i}" for i in range(5)]
    assert sorted(path.name for path in options.out.iterdir()) == [f"job{i}.txt" for i in range(5)]
    assert "submitted" not in {event["event"] for event in told}
    assert [row["attempts"] for row in journal.report()["jobs"]] == [1] * 5
    assert journal.report()["samples"]


def test_a_job_that_fails_does_not_stop_the_others(journal, options, fake, outcome):
    fake.outcomes = [outcome(), outcome("error", error=("ValueError", "no"))]
    assert run(journal, options, fake) == ""
    assert (journal.counts()["done"], journal.counts()["failed"]) == (4, 1)


def test_asked_once_to_stop_it_finishes_the_running_job(journal, options, fake):
    stopping = Stopping()

    def show(event):
        if event["event"] == "job_started" and event["index"] == 1:
            stopping.ask()

    assert run(journal, options, fake, stopping, show) == ""
    assert journal.counts() == {"planned": 3, "running": 0, "done": 2, "failed": 0, "skipped": 0}


def test_asked_twice_it_takes_the_job_off_and_a_resume_does_the_rest(journal, options, fake, outcome):
    fake.outcomes = [outcome(), outcome("hold")]
    stopping = Stopping()

    def show(event):
        if event["event"] == "progress" and event["index"] == 1:
            stopping.ask()
            stopping.ask()

    run(journal, options, fake, stopping, show)
    assert fake.interrupts and journal.counts()["planned"] == 4
    assert run(journal, options, fake) == ""
    assert journal.counts()["done"] == 5 and len(fake.sent) == len(set(fake.sent)) == 6


def test_a_server_that_stays_away_ends_the_run_with_the_rest_still_planned(journal, options, fake):
    def show(event):
        if event["event"] == "job_ended" and event["index"] == 1:
            fake.stop()

    told = []
    reason = run(journal, options, fake, show=lambda event: (told.append(event), show(event)))
    assert "did not come back" in reason
    causes = {event["state"]: event["cause"] for event in told if event["event"] == "server"}
    assert causes["gone"] == {"code": "gone"} and causes["lost"] == causes["failed"] == {"code": "away"}
    assert journal.counts() == {"planned": 3, "running": 0, "done": 2, "failed": 0, "skipped": 0}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_a_disk_that_is_full_ends_the_run_and_what_was_made_is_fetched_once_there_is_room(journal, options, fake):
    options.out.mkdir()
    (options.out / ".job1.txt.part").symlink_to("/dev/full")
    reason = run(journal, options, fake)
    assert "cannot be written: No space left on device" in reason and "job1.txt" in reason
    assert journal.counts() == {"planned": 4, "running": 0, "done": 1, "failed": 0, "skipped": 0}
    assert run(journal, options, fake) == ""  # the part that was begun is gone, and the device with it
    assert journal.counts()["done"] == 5 and len(fake.sent) == len(set(fake.sent)) == 5


def test_a_breaker_rests_a_server_that_fails_in_a_row_and_longer_each_time():
    now = [0.0]
    breaker = Breaker(threshold=2, cooldown=10.0, give_up=2, clock=lambda: now[0])
    breaker.record(LOST)
    assert breaker.wait == 0
    breaker.record(LOST)
    assert breaker.wait == 10 and not breaker.given_up
    now[0] = 10.0
    assert breaker.wait == 0
    breaker.record(LOST)
    assert breaker.wait == 20 and breaker.given_up
    assert (breaker.reason, breaker.cause) == ("it died", {"code": "forgot"})


def test_a_good_job_closes_the_breaker_again():
    breaker = Breaker(threshold=2, cooldown=10.0, clock=lambda: 0.0)
    for result in (LOST, LOST, GOOD, LOST):
        breaker.record(result)
    assert breaker.wait == 0 and not breaker.given_up


def test_a_jobs_own_error_is_not_the_servers():
    breaker = Breaker(threshold=1, clock=lambda: 0.0)
    breaker.record(JobResult(False, "a node's own", "no"))
    assert breaker.wait == 0


def test_several_outputs_are_numbered_and_one_is_not():
    files = [{"filename": name} for name in ("a.PNG", "b.mp4")]
    assert output_names("job", "_", files) == ["job_1.png", "job_2.mp4"]
    assert output_names("job", "_", files[:1]) == ["job.png"]


def test_a_name_that_a_server_tells_leads_nowhere_else():
    for told in ("../../etc/passwd", "x/../../y", "a.m/../p4", "noending", "x."):
        assert output_names("job", "_", [{"filename": told}]) == ["job"]


def test_numbered_outputs_never_have_the_name_of_another_jobs():
    assert separator_for(["clip", "clips_1"]) == "_"
    assert separator_for(["clip", "clip_1"]) == "__"
    assert separator_for(["clip", "clip_1", "clip__2"]) == "___"
    assert separator_for(["Clip", "clip_1"]) == "__"  # the same file on Windows and macOS


def test_files_are_taken_by_node_each_once_and_previews_only_where_there_is_nothing_else():
    def entry(name, kind="output"):
        return {"filename": name, "subfolder": "", "type": kind}

    outputs = {
        "10": {"images": [entry("c.png")], "animated": [True]},
        "9": {"gifs": [entry("b.gif"), entry("b.gif")], "text": ["some words"]},
        "2": {"images": [entry("p.png", "temp")]},
    }
    assert [file["filename"] for file in files_of(outputs)] == ["b.gif", "c.png"]
    assert [file["filename"] for file in files_of({"2": outputs["2"]})] == ["p.png"]

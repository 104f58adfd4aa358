"""What the journal keeps of a prompt, and what it makes of it after a death."""

from __future__ import annotations

import json
import os
import sqlite3
import stat

import pytest

from resource_gate.gate.host import Job, NodeStart, Outcome, Queued
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.journal.rows import KEPT, KEPT_GRAPHS, KEPT_SECONDS
from resource_gate.gate.journal.schema import MIGRATIONS

GRAPH = {"1": {"class_type": "Save", "inputs": {"text": "ä", "api_key": ""}}}


def queued(name, number=0.0, **more):
    return Queued(name, number, more.pop("graph", GRAPH), ("1",), more)


def run(journal, name, outcome=None):
    journal.accepted(queued(name))
    journal.started(Job(name, 0))
    journal.ended(outcome or Outcome(name, True), 5, {"vram0": 7})


def states(journal):
    return {job["id"]: job["state"] for job in journal.rows.jobs(100)}


def test_what_waited_comes_back_in_its_order_with_all_it_needs(start):
    first = start()
    first.accepted(queued("b", 2.0, client_id="me", extra_pnginfo={"workflow": {"nodes": [1]}}))
    first.accepted(queued("front", -1.0))
    first.accepted(queued("c", 2.0))
    second = start()
    found = second.rows.to_restore()
    assert [prompt.id for prompt, _ in found] == ["front", "b", "c"]
    prompt, stripped = found[1]
    assert prompt == Queued("b", 2.0, GRAPH, ("1",), {"client_id": "me", "extra_pnginfo": {"workflow": {"nodes": [1]}}})
    assert stripped == ""
    assert (second.rows.restorable, second.rows.highest_number()) == (3, 2.0)


def test_what_ran_when_the_process_died_comes_back_first_with_a_death_and_the_node_it_was_at(start, machine):
    first = start()
    for name, number in (("a", 0.0), ("b", 1.0)):
        first.accepted(queued(name, number))
    first.started(Job("a", 0.0))
    first.before_node(NodeStart("a", "7", "Sampler"))
    first.memory(100, {"vram0": 9})
    first.memory(50, {"vram0": 3})
    second = start()
    assert [prompt.id for prompt, _ in second.rows.to_restore()] == ["a", "b"]
    story = next(job for job in second.rows.jobs(10) if job["id"] == "a")
    assert (story["deaths"], story["attempts"], story["node"]) == (1, 1, "7 Sampler")
    assert (story["peak_ram"], story["peak_vram"], story["restorable"]) == (100, {"vram0": 9}, True)


def test_a_job_that_ran_at_two_deaths_is_set_aside_until_it_is_released(start):
    start().accepted(queued("a"))
    for _ in range(2):
        journal = start()
        journal.rows.adopt("a")
        journal.started(Job("a", 0.0))
    last = start()
    assert (last.rows.restorable, last.rows.quarantined, last.rows.to_restore()) == (0, 1, [])
    assert [job["deaths"] for job in last.rows.set_aside(10)] == [2]
    assert [(job["id"], job["deaths"]) for job in last.rows.aside] == [("a", 2)]
    last.rows.release("a")
    assert [prompt.graph for prompt, _ in last.rows.to_restore()] == [GRAPH]
    assert last.rows.jobs(1)[0]["deaths"] == 0
    assert last.rows.aside == []


def test_of_a_job_set_aside_its_node_and_its_peak_are_told(start):
    start().accepted(queued("a"))
    for _ in range(2):
        journal = start()
        journal.rows.adopt("a")
        journal.started(Job("a", 0.0))
        journal.before_node(NodeStart("a", "7", "Greedy"))
        journal.memory(2**31, {"vram0": 2**30})
    [told] = start().rows.aside
    assert told == {
        "id": "a",
        "title": told["title"],
        "deaths": 2,
        "node": "7 Greedy",
        "peak_ram": 2**31,
        "peak_vram": {"vram0": 2**30},
        "error": "the process died while it ran",
    }


def test_an_orderly_end_is_no_death(start):
    first = start()
    first.accepted(queued("a"))
    first.started(Job("a", 0.0))
    first.close()
    second = start(deaths=1)
    assert [job["deaths"] for job in second.rows.jobs(1)] == [0]
    assert second.rows.restorable == 1


def test_what_has_ended_is_told_but_not_restored_and_only_a_failed_one_keeps_its_graph(start, machine, tmp_path):
    journal = start()
    journal.accepted(queued("good", graph={"1": {"class_type": "VeryPrivate"}}))
    machine.wait(3)
    journal.started(Job("good", 0.0))
    machine.wait(4)
    journal.ended(Outcome("good", True), 5, {"vram0": 7})
    run(journal, "bad", Outcome("bad", False, "ValueError", "no", "3"))
    good, bad = sorted(journal.rows.jobs(10), key=lambda job: job["seq"])
    assert (good["state"], good["wait"], good["seconds"], good["peak_ram"]) == ("done", 3.0, 4.0, 5)
    assert good["peak_vram"] == {"vram0": 7}
    assert (bad["state"], bad["error_type"], bad["error"], bad["node"]) == ("failed", "ValueError", "no", "3")
    assert start().rows.restorable == 0
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        assert file.execute("SELECT count(*) FROM jobs WHERE graph IS NOT NULL").fetchone() == (1,)
        assert file.execute("SELECT count(*) FROM jobs WHERE graph LIKE '%VeryPrivate%'").fetchone() == (0,)


def test_the_peak_that_was_expected_stands_beside_the_one_that_was_measured(start):
    journal = start()
    for name, predicted in (("large", 9), ("small", None)):
        journal.accepted(queued(name))
        journal.started(Job(name, 0.0))
        journal.ended(Outcome(name, True), 7, predicted=predicted)
    assert {job["id"]: (job["peak_ram"], job["predicted"]) for job in journal.rows.jobs(10)} == {
        "large": (7, 9),
        "small": (7, None),
    }


def test_what_was_removed_by_hand_is_not_restored_but_what_runs_is_not_touched_by_it(start):
    journal = start()
    for name in ("a", "b", "c"):
        journal.accepted(queued(name))
    journal.started(Job("a", 0.0))
    journal.removed(["a", "b"])
    assert states(journal) == {"a": "running", "b": "deleted", "c": "queued"}


def test_a_job_that_waits_for_another_try_did_not_run_at_the_death(start):
    journal = start()
    journal.accepted(queued("a"))
    journal.started(Job("a", 0.0))
    journal.put_back("a", Outcome("a", False, "TimeoutError", "late", "2"))
    assert states(journal) == {"a": "retried"}
    later = start()
    assert later.rows.jobs(1)[0]["deaths"] == 0
    assert later.rows.restorable == 1


def test_a_client_that_queues_the_same_id_again_after_the_death_takes_the_place_of_the_old_one(start):
    start().accepted(queued("a"))
    later = start()
    later.accepted(queued("a"))
    assert later.rows.to_restore() == []
    assert sorted(job["state"] for job in later.rows.jobs(10)) == ["deleted", "queued"]


def test_two_prompts_with_the_same_id_are_two(start):
    journal = start()
    journal.accepted(queued("a", 1.0))
    journal.accepted(queued("a", 2.0))
    journal.started(Job("a", 1.0))
    journal.ended(Outcome("a", True))
    assert sorted(job["state"] for job in journal.rows.jobs(10)) == ["done", "queued"]


def test_pages_follow_one_another(start):
    journal = start()
    for n in range(5):
        journal.accepted(queued(f"p{n}"))
    first = journal.rows.jobs(3)
    second = journal.rows.jobs(3, first[-1]["seq"])
    assert [job["id"] for job in first + second] == ["p4", "p3", "p2", "p1", "p0"]
    assert all("graph" not in job and "extra" not in job for job in first)


def test_a_clock_that_is_set_back_makes_no_wait_negative_and_loses_nothing(start, machine):
    journal = start()
    journal.accepted(queued("a"))
    machine.wall.now -= 10_000
    journal.started(Job("a", 0.0))
    journal.accepted(queued("b"))
    journal.ended(Outcome("a", True))
    jobs = {job["id"]: job for job in journal.rows.jobs(10)}
    assert (jobs["a"]["wait"], jobs["a"]["seconds"], jobs["a"]["state"]) == (0.0, 0.0, "done")
    machine.wall.now -= 10 * KEPT_SECONDS
    assert [prompt.id for prompt, _ in start().rows.to_restore()] == ["b"]


def test_it_is_bounded_in_number_and_in_age(start, machine, tmp_path):
    journal = start()
    run(journal, "template")
    journal.accepted(queued("waits"))
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        columns = "id, number, session, state, queued_at, ended_at"
        for _ in range(KEPT + 50):
            file.execute(f"INSERT INTO jobs ({columns}) SELECT {columns} FROM jobs WHERE id = 'template' LIMIT 1")
    start()
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        assert file.execute("SELECT count(*) FROM jobs WHERE state = 'done'").fetchone() == (KEPT,)
    machine.wall.now += KEPT_SECONDS + 1
    last = start()
    assert [job["id"] for job in last.rows.jobs(10)] == ["waits"]
    last.accepted(queued("new"))
    assert [job["id"] for job in start().rows.jobs(10)] == ["new"]


def test_a_text_that_is_none_is_kept_as_well_as_it_can_be(start):
    journal = start()
    journal.accepted(queued("half \ud800", client_id="\udfff", tag="\ud800"))
    journal.started(Job("half \ud800", 0.0))
    journal.ended(Outcome("half \ud800", False, "E", "\ud800"))
    assert [job["state"] for job in journal.rows.jobs(10)] == ["failed"]
    assert journal.problem is None


def test_nobody_else_may_read_it(start, tmp_path):
    start().accepted(queued("a"))
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"journal.sqlite3", "journal.sqlite3-wal", "journal.running", "journal.lock"} <= set(modes)


@pytest.mark.parametrize(
    ("reason", "deaths", "peak", "told"),
    [
        ("oom kill", 1, 900, "the process died while it ran: killed by the kernel"),
        ("signal", 1, 5, "the process died while it ran: killed by the kernel"),
        ("asked", 0, None, ""),
        ("reboot", 0, None, ""),
    ],
)
def test_what_a_supervisor_saw_of_the_end_is_in_the_story(start, tmp_path, reason, deaths, peak, told):
    first = start()
    first.accepted(queued("a"))
    first.started(Job("a", 0.0))
    first.memory(5, {})
    end = {"pid": os.getpid(), "reason": reason, "detail": "killed by the kernel", "peak": 900}
    (tmp_path / "exits.jsonl").write_text('{"pid": 1, "reason": "asked"}\n' + json.dumps(end) + "\n")
    second = start()
    story = second.rows.jobs(1)[0]
    assert (story["deaths"], story["peak_ram"], story["error"]) == (deaths, peak, told)
    assert second.rows.restorable == 1


@pytest.mark.parametrize("text", ["", "no json", '{"pid": 1, "reason": "asked"}', "[]", '{"pid": "x"}'])
def test_what_it_saw_of_another_process_or_wrote_half_says_nothing(start, tmp_path, text):
    first = start()
    first.accepted(queued("a"))
    first.started(Job("a", 0.0))
    (tmp_path / "exits.jsonl").write_text(text)
    assert [job["deaths"] for job in start().rows.jobs(1)] == [1]


def test_what_was_seen_of_a_job_is_kept_with_it(tmp_path, machine):
    journal = Journal(tmp_path, wall=machine.wall, story=lambda job_id: ("critical", 3, 500))
    journal.open()
    graph = {"9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "cats/night"}}}
    journal.accepted(Queued("a", 0.0, graph, ("9",)))
    journal.started(Job("a", 0.0))
    journal.put_back("a", Outcome("a", False, "TimeoutError", "late", "9"))
    journal.started(Job("a", 0.0))
    journal.ended(Outcome("a", True))
    job = journal.rows.job("a")
    journal.close()
    assert (job["title"], job["level"], job["actions"], job["freed"]) == ("cats/night", "critical", 3, 500)
    assert (job["attempts"], job["retries"], job["can_retry"]) == (2, 1, False)


def test_graphs_of_failed_prompts_are_bounded_in_number(start, tmp_path):
    journal = start()
    run(journal, "first", Outcome("first", False, "E", "no"))
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        columns = "id, number, session, state, graph, queued_at"
        for _ in range(KEPT_GRAPHS):
            file.execute(f"INSERT INTO jobs ({columns}) SELECT {columns} FROM jobs WHERE id = 'first' LIMIT 1")
    start()
    with sqlite3.connect(tmp_path / "journal.sqlite3") as file:
        assert file.execute("SELECT count(*), min(seq) FROM jobs WHERE graph IS NOT NULL").fetchone() == (
            KEPT_GRAPHS,
            2,
        )


def test_a_journal_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it(start, tmp_path):
    file = sqlite3.connect(tmp_path / "journal.sqlite3")
    file.executescript(MIGRATIONS[0] + "PRAGMA user_version=1;")
    file.execute(
        "INSERT INTO jobs (id, number, session, state, graph, outputs, extra, queued_at)"
        " VALUES ('old', 1, 'before', 'queued', '{}', '[]', '{}', 4000)"
    )
    file.commit()
    file.close()
    (job,) = start().rows.left(10)
    assert (job["id"], job["title"], job["level"], job["actions"], job["restorable"]) == ("old", "", "normal", 0, True)

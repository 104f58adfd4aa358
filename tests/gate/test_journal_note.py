"""What the journal notes of the running job, what it leaves out of a prompt, what it takes where nothing is given."""

from __future__ import annotations

import pytest

from resource_gate.gate.host import Job, NodeStart, Outcome, Queued
from resource_gate.gate.journal.journal import Journal
from resource_gate.gate.journal.note import FILE, RunningNote
from resource_gate.gate.journal.schema import FILE as JOURNAL

SECRET = "sk-0123456789"


@pytest.fixture
def begin(tmp_path, machine):
    """Begin a process's journal; the ones before are left as a kill leaves them."""
    begun = []

    def start(**more):
        begun.append(Journal(tmp_path, wall=machine.wall, clock=machine.clock, **more))
        begun[-1].open()
        return begun[-1]

    yield start
    for journal in begun:
        journal._store.close()


@pytest.fixture
def noted(tmp_path):
    """What a process that took over now would find noted."""

    def read():
        page = RunningNote(tmp_path)
        found = page.read()
        page.close()
        return found

    return read


def queued(name, graph=None, **extra):
    return Queued(name, 0.0, graph or {"1": {"class_type": "X", "inputs": {}}}, ("1",), extra)


def start(journal, name, node="1"):
    journal.accepted(queued(name))
    journal.started(Job(name, 0.0))
    if node:
        journal.before_node(NodeStart(name, node, "X"))


def row(journal, name):
    return next(job for job in journal.rows.jobs(500) if job["id"] == name)


def test_memory_is_noted_again_once_it_has_grown_by_more_than_a_hundredth(begin, noted):
    journal = begin()
    start(journal, "a")
    journal.memory(1000, {"vram0": 1000})
    seen = [(ram, vram, noted().ram, noted().vram) for ram, vram in grown_by(journal, [(1010, 0), (1011, 0)])]
    assert [one[2] for one in seen] == [1000, 1011]
    seen = [noted().vram["vram0"] for _ in grown_by(journal, [(0, 1010), (0, 1011)])]
    assert seen == [1000, 1011]
    assert noted().ram == 1011


def grown_by(journal, sizes):
    for ram, vram in sizes:
        journal.memory(ram, {"vram0": vram})
        yield ram, vram


def test_a_device_is_noted_from_its_first_byte_and_not_before(begin, noted):
    journal = begin()
    start(journal, "a")
    journal.memory(0, {"vram0": 0})
    assert noted().vram == {}
    journal.memory(0, {"vram0": 1})
    assert noted().vram == {"vram0": 1}


def test_nothing_is_noted_of_memory_while_no_job_runs(begin, noted):
    journal = begin()
    journal.memory(1000, {})
    assert (noted().job, noted().ram) == ("", 0)


@pytest.mark.parametrize("other", ["a", "c"])
def test_the_page_tells_of_the_last_job_until_the_next_ones_first_node(begin, noted, other):
    journal = begin()
    start(journal, "b")
    journal.ended(Outcome("b", True))
    start(journal, other, node="")
    assert (noted().job, noted().node) == ("b", "1 X")
    journal.before_node(NodeStart(other, "2", "Y"))
    assert (noted().job, noted().node) == (other, "2 Y")


def test_of_a_job_that_runs_again_the_page_forgets_the_node_of_its_first_run(begin, noted):
    journal = begin()
    start(journal, "twice")
    journal.ended(Outcome("twice", True))
    start(journal, "".join(["twi", "ce"]), node="")
    assert (noted().job, noted().node) == ("twice", "")


def test_without_a_page_for_notes_all_else_is_kept(begin, tmp_path, caplog):
    (tmp_path / FILE).mkdir()
    journal = begin()
    start(journal, "a")
    journal.memory(5, {})
    journal.ended(Outcome("a", True), 7)
    assert row(journal, "a")["state"] == "done" and journal.problem is None
    assert "will not be known" in caplog.text


@pytest.mark.parametrize("where", ["graph", "extra", "both"])
def test_a_secret_never_reaches_the_disk_wherever_in_a_prompt_it_is(begin, tmp_path, where):
    graph = {"1": {"class_type": "X", "inputs": {"api_key": SECRET if where != "extra" else "", "text": "words"}}}
    extra = {"api_key_comfy_org": SECRET} if where != "graph" else {}
    journal = begin()
    journal.accepted(queued("a", graph, client_id="me", **extra))
    journal.close()
    assert [path.name for path in tmp_path.iterdir() if SECRET.encode() in path.read_bytes()] == []
    assert b"words" in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith(JOURNAL))


def test_seconds_are_the_difference_of_two_moments_however_long_it_took(begin, machine):
    journal = begin()
    start(journal, "a")
    machine.wait(2.5 * machine.clock.now)
    journal.ended(Outcome("a", True))
    assert row(journal, "a")["seconds"] == pytest.approx(2.5 * machine.clock.now / 3.5)


def test_where_nobody_tells_otherwise_two_deaths_set_a_job_aside_and_a_job_met_no_trouble(begin):
    begin().accepted(queued("a"))
    for expected in ("queued", "queued", "quarantined"):
        journal = begin()
        assert row(journal, "a")["state"] == expected
        journal.rows.adopt("a")
        journal.started(Job("a", 0.0))
        journal.before_node(NodeStart("a", "1", "X"))
    journal = begin()
    start(journal, "b")
    journal.ended(Outcome("b", True))
    told = row(journal, "b")
    assert (told["level"], told["actions"], told["freed"], told["peak_ram"]) == ("normal", 0, 0, None)

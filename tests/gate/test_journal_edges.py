"""Where the journal's numbers begin and end: when it prunes, how much of an error it keeps, what a death tells."""

from __future__ import annotations

import struct

import pytest

from resource_gate.gate.host import Job, NodeStart, Outcome, Queued
from resource_gate.gate.journal.rows import KEPT_SECONDS

DAY = 86400.0


def queued(name, **extra):
    return Queued(name, 1.0, {"1": {"class_type": "X", "inputs": {}}}, ("1",), extra)


def run(journal, name, **outcome):
    journal.accepted(queued(name))
    journal.started(Job(name, 0))
    journal.ended(Outcome(name, not outcome, **outcome), 5)


def row(journal, name):
    return next(job for job in journal.rows.jobs(500) if job["id"] == name)


def test_it_prunes_with_each_hundredth_end_and_with_no_other(start, machine):
    first = start()
    first.accepted(queued("older"))
    machine.wall.now += 3 * DAY
    first.accepted(queued("old"))
    second = start()
    machine.wall.now += KEPT_SECONDS - 2 * DAY
    second.accepted(queued("now"))

    def left():
        return {prompt.id for prompt, _ in second.rows.to_restore()}

    end = Outcome("unknown", True)  # counts as an end as well, for a third of the disk's time
    for _ in range(99):
        second.ended(end)
    assert left() == {"older", "old"}
    second.ended(end)
    assert left() == {"old"}
    machine.wall.now += 3 * DAY
    second.accepted(queued("later"))
    for _ in range(99):
        second.ended(end)
    assert left() == {"old"}
    second.ended(end)
    assert left() == set()


def test_of_an_error_2000_characters_are_kept_at_its_end_and_at_each_try(start):
    journal = start()
    run(journal, "failed", error_type="E", error="x" * 2001)
    assert row(journal, "failed")["error"] == "x" * 2000
    journal.accepted(queued("again"))
    journal.started(Job("again", 0))
    journal.put_back("again", Outcome("again", False, error_type="E", error="y" * 2001))
    assert row(journal, "again")["error"] == "y" * 2000


@pytest.mark.parametrize(("client", "kept"), [("me", "me"), (7, None), (None, None)])
def test_a_client_is_kept_by_its_name_if_it_has_one(start, client, kept):
    journal = start()
    journal.accepted(queued("a", client_id=client))
    assert row(journal, "a")["client"] == kept


def test_the_story_of_a_death_tells_the_most_that_was_seen_of_each_memory(start):
    first = start()
    first.accepted(queued("a"))
    first.started(Job("a", 0))
    for ram, vram in ((5, {"vram0": 9, "vram1": 1}), (8, {"vram0": 3, "vram1": 2}), (2, {"vram0": 4, "vram1": 0})):
        first.memory(ram, vram)
    found = row(start(), "a")
    assert (found["peak_ram"], found["peak_vram"]) == (8, {"vram0": 9, "vram1": 2})


def test_a_memory_that_was_nought_is_told_as_nought(start):
    first = start()
    first.accepted(queued("a"))
    first.started(Job("a", 0))
    first.memory(1, {"vram0": 0})
    assert row(start(), "a")["peak_vram"] == {"vram0": 0}


def whole_clip(path):
    def box(kind):
        return struct.pack(">I4s", 8, kind)

    path.write_bytes(box(b"ftyp") + box(b"mdat") + box(b"moov"))


@pytest.mark.parametrize("looks", [True, False])
def test_a_clip_that_was_whole_when_the_process_died_is_done_where_the_output_may_be_looked_at(start, tmp_path, looks):
    output = tmp_path / "output"
    output.mkdir()
    first = start(output if looks else None)
    first.accepted(queued("a"))
    first.started(Job("a", 0))
    first.before_node(NodeStart("a", "1", "SaveVideo", {"filename_prefix": "clip"}))
    whole_clip(output / "clip_00001_.mp4")
    assert row(start(output), "a")["state"] == ("done" if looks else "queued")


def test_the_seconds_of_a_job_run_from_its_start_by_the_clock(start, machine):
    journal = start()
    journal.accepted(queued("a"))
    machine.clock.now += 40
    journal.started(Job("a", 0))
    machine.clock.now += 2.5
    journal.ended(Outcome("a", True), 0)
    found = row(journal, "a")
    assert (found["seconds"], found["peak_ram"], found["attempts"]) == (2.5, None, 1)

from __future__ import annotations

import pytest

from resource_gate.gate.brake import JobPeak
from resource_gate.gate.gate import Gate
from resource_gate.gate.host import Job, NodeStart, Outcome
from resource_gate.gate.progress import QUIET, BatchProgress

GB = 1024**3


@pytest.fixture
def progress(machine):
    return BatchProgress(machine.clock)


def run(progress, machine, name, seconds=10.0, ok=True):
    progress.started(Job(name, 0))
    machine.wait(seconds)
    progress.ended(Outcome(name, ok))


def test_before_anything_ran_there_is_nothing_to_tell(progress):
    assert progress.as_dict(0) == {"done": 0, "total": 0, "failed": 0, "retried": 0, "eta_seconds": None} | {
        "last_job": None,
        "started_at": None,
        "eta_low": None,
        "eta_high": None,
    }
    assert progress.as_dict(3)["total"] == 3 and progress.as_dict(3)["eta_seconds"] is None


def test_done_failed_running_and_pending_add_up(progress, machine):
    run(progress, machine, "a")
    run(progress, machine, "b", ok=False)
    progress.started(Job("c", 2))
    told = progress.as_dict(4)
    assert (told["done"], told["failed"], told["total"]) == (1, 1, 7)


def test_the_estimate_is_the_mean_of_those_that_went_well_less_what_the_running_one_has_had(progress, machine):
    run(progress, machine, "a", 10)
    run(progress, machine, "b", 20)
    run(progress, machine, "broken", 1, ok=False)
    assert progress.as_dict(2)["eta_seconds"] == pytest.approx(30)
    progress.started(Job("c", 2))
    machine.wait(5)
    assert progress.as_dict(2)["eta_seconds"] == pytest.approx(40)
    machine.wait(500)
    assert progress.as_dict(2)["eta_seconds"] == pytest.approx(30)


def test_with_nothing_left_there_is_no_estimate(progress, machine):
    run(progress, machine, "a")
    assert progress.as_dict(0)["eta_seconds"] is None


def test_after_a_quiet_time_a_new_batch_begins(progress, machine):
    run(progress, machine, "a")
    machine.wait(QUIET + 1)
    assert progress.as_dict(0)["done"] == 1
    progress.started(Job("b", 1))
    assert progress.as_dict(0)["done"] == 0 and progress.as_dict(0)["total"] == 1


def test_a_short_break_does_not_end_the_batch(progress, machine):
    run(progress, machine, "a")
    machine.wait(QUIET - 1)
    run(progress, machine, "b", 10 * QUIET)
    run(progress, machine, "c")
    assert progress.as_dict(0)["done"] == 3


def test_a_batch_that_waits_long_at_the_gate_is_still_the_same_batch(machine, progress):
    gate = Gate(machine.admission, machine.brake, progress)
    machine.at(10)
    run(progress, machine, "a")
    machine.admission.pause()
    for _ in range(600):
        assert not gate.may_start(Job("b", 1)).start
        machine.wait(0.5)
    machine.admission.resume()
    assert gate.may_start(Job("b", 1)).start
    run(progress, machine, "b")
    assert progress.as_dict(0)["done"] == 2


def test_asking_for_the_first_prompt_of_a_new_batch_does_not_revive_the_old_one(machine, progress):
    gate = Gate(machine.admission, machine.brake, progress)
    run(progress, machine, "a")
    machine.wait(QUIET + 1)
    gate.may_start(Job("b", 1))
    run(progress, machine, "b")
    assert progress.as_dict(0)["done"] == 1


def test_an_end_without_a_start_is_counted_and_no_error(progress):
    progress.ended(Outcome("unknown", True))
    assert progress.as_dict(1)["done"] == 1 and progress.as_dict(1)["eta_seconds"] is None


def test_the_gate_hands_each_event_to_its_part(machine, progress):
    gate = Gate(machine.admission, machine.brake, progress)
    gate.started(Job("a", 0))
    gate.before_node(NodeStart("a", "1", "Load"))
    assert machine.peak.started == 1 and progress.as_dict(0)["total"] == 1
    machine.peak.value = 30 * 1024**3
    gate.ended(Outcome("a", True))
    assert progress.as_dict(0)["done"] == 1
    machine.at(70).cached = 1024**3
    gate.before_node(NodeStart("b", "1", "Load"))
    assert "33.0 GB" in machine.actions.last.why


def test_the_last_job_is_told_with_its_time_and_peaks(progress, machine):
    progress.started(Job("a", 0))
    machine.wait(7)
    progress.ended(Outcome("a", True), JobPeak(5 * GB, {0: 3 * GB}))
    assert progress.as_dict(0)["last_job"] == {
        "id": "a",
        "ok": True,
        "seconds": pytest.approx(7),
        "peak_ram": 5 * GB,
        "peak_vram": {"vram0": 3 * GB},
    }


def test_a_jobs_peak_is_the_highest_of_its_nodes_and_of_no_other_job(machine):
    for job, peaks in (("a", [(9, 1), (4, 2)]), ("b", [(3, 1)])):
        machine.brake.job_started()
        for ram, vram in peaks:
            machine.brake.before_node(NodeStart(job, "1", "Any"))
            machine.peak.value, machine.peak.vram = ram * GB, {0: vram * GB}
        machine.brake.node_ended()
        expected = JobPeak(9 * GB, {0: 2 * GB}) if job == "a" else JobPeak(3 * GB, {0: 1 * GB})
        assert machine.brake.job_peak == expected


@pytest.fixture
def foretold(machine):
    """Of jobs that take ten seconds, twenty, thirty, by their names."""
    times = {"a": 10.0, "b": 20.0, "c": 30.0}
    progress = BatchProgress(machine.clock, lambda job_id: (times[job_id],) * 3)
    for name in times:
        progress.queued(name)
    return progress


def test_the_time_of_a_job_that_was_taken_out_is_not_waited_for(foretold):
    assert foretold.as_dict(3)["eta_seconds"] == pytest.approx(60)
    foretold.removed(["a"])
    assert foretold.as_dict(2)["eta_seconds"] == pytest.approx(50)


def test_a_job_that_goes_back_in_line_takes_its_whole_time_again_and_counts_once(foretold, machine):
    foretold.started(Job("c", 0))
    machine.wait(QUIET + 30)
    foretold.put_back("c")
    told = foretold.as_dict(3)
    assert (told["total"], told["retried"], told["eta_seconds"]) == (3, 1, pytest.approx(60))
    machine.wait(QUIET)
    foretold.started(Job("c", 0))
    foretold.ended(Outcome("c", True))
    assert foretold.counts == {"done": 1, "failed": 0, "retried": 1}


def test_the_totals_go_on_from_batch_to_batch(progress, machine):
    run(progress, machine, "a")
    run(progress, machine, "b", ok=False)
    machine.wait(QUIET + 1)
    run(progress, machine, "c")
    assert progress.totals == (2, 1)
    assert progress.as_dict(0)["done"] == 1

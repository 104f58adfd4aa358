from __future__ import annotations

import threading

import pytest

from resource_gate.gate.admission import Admission
from resource_gate.gate.host import Job
from resource_gate.monitor.readings import Level, MemoryReading
from resource_gate.reclaim.host import Place

GB = 1024**3
JOB, OTHER = Job("a", 0), Job("b", 1)


def states(machine):
    return [(s.state, s.job) for s in machine.pushed]


def test_with_headroom_it_opens_at_once_for_the_price_of_one_reading(machine):
    machine.at(84).cached = 50 * GB
    assert machine.admission.may_start(JOB).start
    assert machine.reads == 1 and machine.actions.last is None and machine.pushed == []


def test_it_frees_first_and_opens_where_that_was_enough(machine):
    machine.at(91).cached = 12 * GB
    assert machine.admission.may_start(JOB).start
    action = machine.actions.last
    assert machine.places == [Place.BETWEEN_PROMPTS] and action.level == Level.CRITICAL
    assert action.goal == pytest.approx(11 * GB, abs=2)
    assert machine.pushed == []


def test_where_freeing_is_not_enough_it_waits_and_says_why_and_how_long(machine):
    machine.at(91).cached = 2 * GB
    verdict = machine.admission.may_start(JOB)
    state = machine.admission.state
    assert not verdict.start and 0 < verdict.again_in <= 0.5
    assert verdict.reason == state.reason == "RAM 89% of 100.0 GB; it starts below 80%"
    assert state.cause == {"code": "starts", "fraction": 0.89, "limit": 100 * GB, "below": pytest.approx(0.8)}
    assert (state.state, state.job, state.since, state.until) == ("waiting", "a", 5000.0, 5030.0)


def test_where_nothing_may_be_freed_it_only_waits(machine):
    machine.set(reclaim={"enabled": False}).at(91).cached = 50 * GB
    assert not machine.admission.may_start(JOB).start
    assert machine.actions.last is None


def test_it_climbs_once_a_wait_however_often_it_is_asked(machine):
    machine.at(97).cached = 2 * GB
    for _ in range(20):
        machine.admission.may_start(JOB)
        machine.cached = 2 * GB
        machine.wait(0.5)
    assert len(machine.actions.all()) == 1


def test_while_it_waits_memory_must_fall_below_where_the_level_is_left(machine):
    machine.set(gate={"on_timeout": "hold"}).at(86)
    assert not machine.admission.may_start(JOB).start
    assert not machine.at(84).admission.may_start(JOB).start
    assert not machine.at(80.1).admission.may_start(JOB).start
    assert machine.at(79.9).admission.may_start(JOB).start
    assert machine.at(84).admission.may_start(OTHER).start


def test_the_next_prompt_is_not_held_to_the_stricter_mark_of_one_that_was_deleted(machine):
    machine.at(86)
    assert not machine.admission.may_start(JOB).start
    assert machine.at(84).admission.may_start(OTHER).start


def test_bytes_free_count_like_shares(machine):
    machine.set(ram={"warning_free": 30 * GB}, gate={"on_timeout": "hold"}).at(75).cached = 3 * GB
    assert not machine.admission.may_start(JOB).start
    assert machine.actions.last.goal == pytest.approx(10 * GB, abs=2)
    assert not machine.at(65.1).admission.may_start(JOB).start
    assert machine.at(64.9).admission.may_start(JOB).start


def test_below_critical_it_starts_once_memory_has_stopped_falling(machine):
    machine.at(88)
    assert not machine.admission.may_start(JOB).start
    assert not machine.wait(0.5).admission.may_start(JOB).start
    assert machine.wait(0.5).admission.may_start(JOB).start
    assert machine.admission.state.state == "open"


def test_while_memory_falls_it_goes_on_waiting(machine):
    machine.at(89.5)
    machine.admission.may_start(JOB)
    for _ in range(4):
        machine.used -= 2 * GB
        assert not machine.wait(1.0).admission.may_start(JOB).start
    machine.used -= GB // 2
    assert machine.wait(1.0).admission.may_start(JOB).start


def test_above_critical_it_waits_its_whole_time_and_then_runs(machine):
    machine.at(92)
    machine.admission.may_start(JOB)
    for _ in range(58):
        assert not machine.wait(0.5).admission.may_start(JOB).start
    machine.wait(0.5)
    assert not machine.admission.may_start(JOB).start
    assert machine.wait(0.5).admission.may_start(JOB).start
    assert states(machine) == [("waiting", "a"), ("open", None)]


def test_hold_means_hold(machine):
    machine.set(gate={"on_timeout": "hold"}).at(88)
    machine.admission.may_start(JOB)
    assert machine.admission.state.until is None
    for _ in range(1000):
        assert not machine.wait(60).admission.may_start(JOB).start
    assert machine.at(50).admission.may_start(JOB).start


def test_a_wait_of_no_seconds_frees_and_runs(machine):
    machine.set(gate={"wait": 0}).at(99).cached = GB
    machine.admission.may_start(JOB)
    assert machine.actions.last is not None
    assert machine.wait(0.5).admission.may_start(JOB).start


def test_switched_off_it_lets_everything_pass_without_a_look(machine):
    machine.set(gate={"enabled": False}).at(99)
    assert machine.admission.may_start(JOB).start
    assert machine.reads == 0


def test_without_a_known_limit_it_lets_pass(machine):
    unknown = Admission(machine.ladder, lambda: MemoryReading(5 * GB, 0, "host"), lambda: machine.settings)
    assert unknown.may_start(JOB).start


def test_paused_nothing_starts_until_it_is_resumed(machine):
    machine.at(10).admission.pause()
    verdict = machine.admission.may_start(JOB)
    assert not verdict.start and verdict.reason == "paused"
    assert machine.reads == 0
    state = machine.admission.state
    assert (state.state, state.since, state.job) == ("paused", 5000.0, "a")
    machine.admission.resume()
    assert machine.admission.state.state == "open"
    assert machine.admission.may_start(JOB).start


def test_a_second_pause_keeps_the_first_ones_time(machine):
    machine.admission.pause()
    machine.wait(60).admission.pause()
    assert machine.admission.state.since == 5000.0


def test_a_pause_ends_a_wait_which_begins_anew_afterwards(machine):
    machine.at(92)
    machine.admission.may_start(JOB)
    machine.wait(20).admission.pause()
    machine.admission.may_start(JOB)
    machine.admission.resume()
    machine.wait(20)
    assert not machine.admission.may_start(JOB).start
    assert machine.admission.state.until == pytest.approx(5070.0)


def test_each_change_of_state_is_pushed_once(machine):
    machine.at(92)
    for _ in range(5):
        machine.admission.may_start(JOB)
    machine.admission.pause()
    machine.admission.may_start(JOB)
    machine.admission.may_start(JOB)
    machine.admission.resume()
    machine.at(10).admission.may_start(JOB)
    assert states(machine) == [("waiting", "a"), ("paused", None), ("paused", "a"), ("open", None)]


def test_a_pause_shows_even_where_a_decision_was_just_under_way(machine):
    """The worker has passed the pause's check and shows its own state only after the pause has shown."""
    reading, go_on = threading.Event(), threading.Event()

    def slow_settings():
        reading.set()
        assert go_on.wait(10)
        return machine.settings

    admission = Admission(machine.at(10).ladder, machine.read, slow_settings)
    worker = threading.Thread(target=admission.may_start, args=(JOB,))
    worker.start()
    assert reading.wait(10)
    admission.pause()
    go_on.set()
    worker.join(10)
    assert admission.state.state == "paused"
    assert not admission.may_start(OTHER).start


def test_who_is_told_of_the_state_cannot_have_a_prompt_started_that_is_held(machine):
    """An event loop that is closed, say, as the process ends with the panel open."""

    def gone(state):
        raise RuntimeError("Event loop is closed")

    admission = Admission(machine.at(92).ladder, machine.read, lambda: machine.settings, changed=gone)
    assert not admission.may_start(JOB).start
    admission.pause()
    assert not admission.may_start(OTHER).start

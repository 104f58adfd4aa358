"""Where the ladder's numbers begin and end: what is worth its while, how long a rung rests, what a dry run adds up."""

from __future__ import annotations

import logging

import pytest

from resource_gate.monitor.readings import Level
from resource_gate.reclaim.action import ActionLog
from resource_gate.reclaim.host import Place
from resource_gate.reclaim.ladder import BACKOFF_FIRST, BACKOFF_MAX, Ladder, Shortage

MB = 1024**2
SHORT = Shortage("ram", Level.EMERGENCY, "test")


def build(memory, clock, *rungs, **more):
    return Ladder({"ram": rungs}, memory.measure, ActionLog(), clock=clock, wall=lambda: 5.0, **more)


def tried(ladder, shortage=SHORT):
    return [step.name for step in ladder.climb(shortage, Place.ANYWHERE).steps]


@pytest.mark.parametrize(("freed", "rests"), [(16 * MB, False), (16 * MB - 1, True)])
def test_a_rung_that_freed_16_mb_does_not_rest_and_one_that_freed_less_does(fakes, memory, clock, freed, rests):
    rung = fakes.FakeRung(memory, "a", freed, guess=None)
    ladder = build(memory, clock, rung)
    assert tried(ladder) == ["a"]
    rung.has = freed
    assert tried(ladder) == ([] if rests else ["a"])


@pytest.mark.parametrize(("more", "wakes"), [(16 * MB, ["a"]), (16 * MB - 1, [])])
@pytest.mark.parametrize("first", [0, 5 * MB, 7 * MB + 3])
def test_a_resting_rung_is_woken_by_an_estimate_that_grew_by_16_mb(fakes, memory, clock, more, wakes, first):
    rung = fakes.FakeRung(memory, "a", 0, guess=first or None)
    ladder = build(memory, clock, rung)
    tried(ladder)
    rung.guess = first + more
    assert tried(ladder) == wakes


def test_it_rests_30_s_first_and_600_s_at_the_most(fakes, memory, clock):
    rung = fakes.FakeRung(memory, "a", 0, guess=None)
    ladder = build(memory, clock, rung)
    assert (BACKOFF_FIRST, BACKOFF_MAX) == (30.0, 600.0)
    for pause in (30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0):
        assert tried(ladder) == ["a"]
        clock.now += pause - 0.001
        assert tried(ladder) == []
        clock.now += 0.001


def test_a_dry_run_adds_up_estimates_and_takes_an_unknown_one_for_nothing(fakes, memory, clock):
    rungs = [fakes.FakeRung(memory, "known", 0, guess=30 * MB), fakes.FakeRung(memory, "unknown", 0, guess=None)]
    ladder = build(memory, clock, *rungs, dry_run=lambda: True)
    action = ladder.climb(SHORT._replace(goal=31 * MB), Place.ANYWHERE)
    assert [(s.name, s.freed, s.seconds) for s in action.steps] == [("known", 30 * MB, 0.0), ("unknown", 0, 0.0)]
    assert action.dry_run and not action.met


@pytest.mark.parametrize(("goal", "steps"), [(30 * MB, ["a"]), (30 * MB + 1, ["a", "b"])])
def test_a_dry_run_stops_where_the_estimates_reach_the_goal(fakes, memory, clock, goal, steps):
    rungs = [fakes.FakeRung(memory, n, 0, guess=30 * MB) for n in "ab"]
    ladder = build(memory, clock, *rungs, dry_run=lambda: True)
    assert tried(ladder, SHORT._replace(goal=goal)) == steps


def test_a_dry_run_is_not_said_again_while_nothing_has_changed(fakes, memory, clock):
    rung = fakes.FakeRung(memory, "a", 0, guess=30 * MB)
    ladder = build(memory, clock, rung, dry_run=lambda: True)
    assert tried(ladder) == ["a"] and tried(ladder) == []
    rung.guess = 46 * MB
    assert tried(ladder) == ["a"]
    rung.guess = None
    clock.now += 29.0
    assert tried(ladder) == []


def test_a_dry_run_of_an_unknown_estimate_is_woken_by_a_known_one_of_16_mb(fakes, memory, clock):
    rung = fakes.FakeRung(memory, "a", 0, guess=None)
    ladder = build(memory, clock, rung, dry_run=lambda: True)
    assert tried(ladder) == ["a"]
    rung.guess = 16 * MB - 1
    assert tried(ladder) == []
    rung.guess = 16 * MB
    assert tried(ladder) == ["a"]


def test_a_step_tells_the_seconds_it_took_by_the_clock(fakes, memory, clock):
    rung = fakes.FakeRung(memory, "a", 20 * MB)
    free = rung.free

    def slowly(*arguments):
        clock.now += 0.25
        return free(*arguments)

    rung.free = slowly
    (step,) = build(memory, clock, rung).climb(SHORT, Place.ANYWHERE).steps
    assert step.seconds == 0.25


@pytest.mark.parametrize("failing", ["error", "estimate_error"])
def test_a_failure_is_told_with_its_traceback(fakes, memory, clock, caplog, failing):
    rung = fakes.FakeRung(memory, "a", 20 * MB, **{failing: RuntimeError("boom")})
    with caplog.at_level(logging.WARNING):
        build(memory, clock, rung).climb(SHORT, Place.ANYWHERE)
    (record,) = caplog.records
    assert record.exc_info and str(record.exc_info[1]) == "boom"


def test_a_shortage_cannot_be_changed_under_way():
    with pytest.raises(AttributeError):
        SHORT.goal = 3


def test_it_waits_for_its_turn_unless_told_otherwise(fakes, memory, clock):
    """By position nobody can ask it not to wait: at a call the word must stand."""
    with pytest.raises(TypeError):
        build(memory, clock).climb(SHORT, Place.ANYWHERE, False)
    with pytest.raises(TypeError):
        Ladder({}, memory.measure, ActionLog(), lambda: True)

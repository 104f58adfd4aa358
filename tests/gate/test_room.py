"""Admission where something is known of what the prompt will need."""

from __future__ import annotations

import logging

import pytest

from resource_gate.gate.admission import Admission
from resource_gate.gate.host import Job
from resource_gate.gate.prediction.predict import Need
from resource_gate.monitor.readings import Level
from resource_gate.reclaim.host import Place

GB = 1024**3
JOB = Job("a", 0)


class Forecast:
    def __init__(self):
        self.told = None
        self.frames = None

    def need(self, job):
        return self.told

    def fitting_prompt(self, job, room):
        self.asked = room
        return "later"

    def fitting_frames(self, job, room):
        return self.frames

    def say(self, gb, *, known=True, confirmed=True):
        size = int(gb * GB)
        self.told = Need(
            size, 0, 1.0, 0.5, 2.0, known, int(size * 0.9), int(size * 0.8), confirmed, 9, size, int(size * 0.8)
        )


@pytest.fixture
def forecast():
    return Forecast()


@pytest.fixture
def gate(machine, forecast):
    return Admission(
        machine.ladder,
        machine.read,
        lambda: machine.settings,
        forecast=forecast,
        changed=machine.pushed.append,
        free_in_heap=lambda: machine.free,
        clock=machine.clock,
        wall=machine.wall,
    )


def test_what_fits_starts_at_once_for_the_price_of_one_reading(machine, forecast, gate):
    machine.at(50).cached = 40 * GB
    forecast.say(39)
    assert gate.may_start(JOB).start
    assert machine.reads == 1 and machine.actions.last is None


def test_what_does_not_fit_is_made_room_for_before_it_starts_and_by_how_much_it_lacks(machine, forecast, gate):
    machine.at(50).cached = 30 * GB
    forecast.say(55)
    assert gate.may_start(JOB).start
    action = machine.actions.last
    assert machine.places == [Place.BETWEEN_PROMPTS] and action.level == Level.CRITICAL
    assert action.goal == pytest.approx(15 * GB, abs=2)
    assert "needs about 55.0 GB" in action.why
    assert action.cause == {"code": "prompt", "need": 55 * GB, "fraction": 0.5, "limit": 100 * GB}


def test_models_that_it_may_load_again_are_not_freed_for_it(machine, forecast, gate):
    machine.at(50)
    forecast.say(200)
    gate.may_start(JOB)
    assert all(action.level == Level.CRITICAL for action in machine.actions.all())


def test_a_small_prompt_neither_frees_nor_waits_above_the_threshold_once_its_need_is_borne_out(machine, forecast, gate):
    machine.at(88).cached = 30 * GB
    forecast.say(1)
    assert gate.may_start(JOB).start
    assert machine.actions.last is None


@pytest.mark.parametrize("said", [{"known": False}, {"confirmed": False}])
def test_what_is_only_hearsay_does_not_weaken_the_thresholds(machine, forecast, gate, said):
    machine.at(91).cached = 12 * GB
    forecast.say(0.001, **said)
    assert gate.may_start(JOB).start
    assert machine.actions.last.goal == pytest.approx(11 * GB, abs=2)


def test_arithmetic_alone_holds_nobody_up(machine, forecast, gate):
    machine.at(50).cached = 30 * GB
    forecast.say(500, known=False)
    assert gate.may_start(JOB).start and machine.actions.last is None


def test_up_to_the_emergency_level_it_starts_once_all_was_freed(machine, forecast, gate):
    machine.at(50)
    forecast.say(44)
    assert gate.may_start(JOB).start and gate.state.state == "open"


def test_it_waits_while_memory_falls_and_says_what_it_needs(machine, forecast, gate):
    machine.at(60)
    forecast.say(45)
    verdict = gate.may_start(JOB)
    assert not verdict.start and verdict.reason == "RAM 60% of 100.0 GB; it needs about 45.0 GB"
    assert gate.state.cause == {"code": "needs", "need": 45 * GB, "fraction": 0.6, "limit": 100 * GB}
    machine.wait(0.5).at(49)
    assert gate.may_start(JOB).start


def test_where_memory_does_not_fall_it_waits_no_longer_than_it_takes_to_see_that(machine, forecast, gate):
    machine.at(60)
    forecast.say(45)
    assert gate.may_start(JOB).again_in == 0.1
    assert not machine.wait(0.1).at(60) or not gate.may_start(JOB).start
    assert machine.wait(0.15).at(60) and gate.may_start(JOB).start


def test_a_hopeless_prompt_starts_by_default_with_one_warning_in_numbers(machine, forecast, gate, caplog):
    machine.at(20)
    forecast.say(120)
    forecast.frames = 97
    with caplog.at_level(logging.WARNING):
        assert gate.may_start(JOB).start
        assert gate.may_start(JOB).start
    (told,) = [r.getMessage() for r in caplog.records if "needs about" in r.getMessage()]
    assert "needs about 108.0 GB, 100.0 GB is the limit and 80.0 GB of it are free: fewer frames, e.g. 97" in told


def test_it_is_refused_with_the_numbers_where_that_is_set(machine, forecast, gate):
    machine.set(gate={"too_large": "refuse"}).at(20)
    forecast.say(120)
    verdict = gate.may_start(JOB)
    assert verdict.refused and not verdict.start
    assert "needs about 108.0 GB, 100.0 GB is the limit" in verdict.reason and "gate.too_large" in verdict.reason


def test_it_is_held_until_there_is_room_where_that_is_set(machine, forecast, gate):
    machine.set(gate={"too_large": "hold"}).at(60)
    forecast.say(60)
    for _ in range(200):
        assert not machine.wait(1).at(60) or not gate.may_start(JOB).start
    assert machine.at(20) and gate.may_start(JOB).start


@pytest.mark.parametrize("policy", ["run", "hold", "refuse"])
def test_nothing_is_called_hopeless_that_this_process_has_not_seen(machine, forecast, gate, policy):
    machine.set(gate={"too_large": policy, "wait": 0}).at(20)
    forecast.say(500, confirmed=False)
    assert not gate.may_start(JOB).refused
    assert machine.wait(1) and gate.may_start(JOB).start


def test_refused_is_nobody_whose_low_estimate_fits(machine, forecast, gate):
    machine.set(gate={"too_large": "refuse", "wait": 0}).at(20)
    forecast.say(99)
    assert not gate.may_start(JOB).refused


def test_the_order_is_the_users_unless_they_allow_what_fits_first(machine, forecast, gate):
    machine.at(60)
    forecast.say(45)
    assert gate.may_start(JOB).instead == ""
    machine.set(gate={"fit_first": True})
    verdict = gate.may_start(JOB)
    assert not verdict.start and verdict.instead == "later"
    assert forecast.asked == pytest.approx(30 * GB, abs=2)


def test_a_small_need_that_finds_room_in_the_heap_asks_for_none_to_be_made(machine, forecast, gate):
    machine.at(88).cached = 40 * GB
    machine.free = 3 * GB
    forecast.say(4)
    forecast.told = forecast.told._replace(small=True)
    assert gate.may_start(JOB).start
    assert machine.actions.last is None


def test_what_of_it_finds_none_is_freed(machine, forecast, gate):
    machine.at(88).cached = 40 * GB
    machine.free = 1 * GB
    forecast.say(4)
    forecast.told = forecast.told._replace(small=True)
    assert gate.may_start(JOB).start
    assert machine.actions.last.goal == pytest.approx((88 + 3 - 90) * GB, abs=100)


def test_a_need_of_large_tensors_finds_no_room_in_the_heap(machine, forecast, gate):
    machine.at(88).cached = 40 * GB
    machine.free = 30 * GB
    forecast.say(4)
    assert gate.may_start(JOB).start
    assert machine.actions.last.goal == pytest.approx((88 + 4 - 90) * GB, abs=100)

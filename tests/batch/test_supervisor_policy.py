from __future__ import annotations

import pytest

from resource_gate.batch.supervisor.policy import DELAYS, HOUR, WELL_AFTER, Restarts


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_first_restart_is_at_once_and_delays_rise_while_it_keeps_dying_and_stay_at_the_last(clock):
    restarts = Restarts(100, clock)
    assert [restarts.delay(1, False) for _ in range(9)] == [0, 1, 2, 5, 15, 30, 60, 60, 60]


def test_a_death_after_ten_good_minutes_stands_alone(clock):
    restarts = Restarts(100, clock)
    for _ in range(4):
        restarts.delay(1, False)
    assert restarts.delay(WELL_AFTER, False) == DELAYS[0]
    assert restarts.delay(1, False) == DELAYS[1]


def test_a_life_in_which_a_job_ended_lets_the_next_ones_not_wait_long(clock):
    restarts = Restarts(100, clock)
    assert [restarts.delay(20, True) for _ in range(5)] == [DELAYS[0]] * 5


def test_the_limit_holds_for_any_hour_and_not_for_ever(clock):
    restarts = Restarts(3, clock)
    for _ in range(3):
        assert restarts.delay(WELL_AFTER, True) is not None
        clock.now += 600
    assert restarts.delay(WELL_AFTER, True) is None
    assert restarts.in_last_hour == 3
    clock.now = 1000.0 + HOUR
    assert restarts.in_last_hour == 2
    assert restarts.delay(1, False) is not None
    assert restarts.delay(1, False) is None


def test_no_restarts_at_all_can_be_asked_for(clock):
    assert Restarts(0, clock).delay(WELL_AFTER, True) is None

from __future__ import annotations

import pytest

from resource_gate.monitor.interval import FASTEST_FILL, Rhythm, headroom, seconds_until
from resource_gate.monitor.readings import Level, MemoryReading
from resource_gate.settings import Monitor, Tiers

GIB = 1024**3
MIB = 1024**2
SETTINGS = Monitor()


def ram(used, limit=2 * GIB, source="cgroup v1 /x"):
    return MemoryReading(int(used), limit, source)


@pytest.mark.parametrize(("rate", "seconds"), [(0, 5.0), (-9, 5.0), (10, 5.0), (100, 1.0), (10**6, 0.1)])
def test_time_is_headroom_over_rate_within_bounds(rate, seconds):
    assert seconds_until(100, rate, 0.1, 5.0) == seconds


def test_headroom_is_what_is_left_until_the_next_level():
    assert headroom(ram(1 * GIB), Level.NORMAL, Tiers()) == pytest.approx(0.85 * 2 * GIB - GIB)
    assert headroom(ram(1.8 * GIB), Level.WARNING, Tiers()) == pytest.approx(0.9 * 2 * GIB - 1.8 * GIB, abs=1)
    assert headroom(ram(1.95 * GIB), Level.EMERGENCY, Tiers()) == pytest.approx(0.05 * GIB, abs=1)
    assert headroom(ram(1.95 * GIB), Level.NORMAL, Tiers()) == 0.0


def full(rhythm, level=Level.NORMAL):
    return rhythm.until_full(level, Tiers(), SETTINGS, 5.0)


def look(rhythm, level=Level.NORMAL):
    return rhythm.until_look(level, Tiers(), SETTINGS, 5.0)


def noted(*points):
    rhythm = Rhythm()
    for at, used in points:
        rhythm.note(at, ram(used))
    return rhythm


def test_before_the_first_reading_it_rests():
    assert (full(Rhythm()), look(Rhythm())) == (5.0, 5.0)


def test_steady_memory_rests_between_full_samples():
    assert full(noted((0, GIB), (5, GIB))) == 5.0


def test_a_full_sample_comes_in_half_the_time_in_which_the_next_level_is_reached():
    rhythm = noted((0, 1000 * MIB), (1, 1100 * MIB))
    left = 0.85 * 2048 - 1100
    assert full(rhythm) == pytest.approx(left / 100 / 2)


def test_a_job_that_starts_to_fill_at_once_meets_a_look_before_the_level():
    """At rest the next look at RAM comes before the fastest filler could have crossed the threshold."""
    for used in range(0, 1741, 20):
        rhythm = noted((0, used * MIB), (5, used * MIB))
        reached = used * MIB + FASTEST_FILL * look(rhythm)
        assert look(rhythm) == SETTINGS.interval_min or reached <= 0.85 * 2 * GIB + 1


def test_ample_headroom_needs_no_looks_in_between():
    rhythm = Rhythm()
    rhythm.note(0, ram(4 * GIB, 64 * GIB))
    assert look(rhythm) == 5.0


def test_at_a_threshold_the_shortest_interval_holds():
    assert look(noted((0, 1735 * MIB), (5, 1735 * MIB))) == SETTINGS.interval_min


def test_moving_memory_at_warning_is_sampled_as_often_as_can_be():
    assert full(noted((0, 1800 * MIB), (1, 1770 * MIB)), Level.WARNING) == SETTINGS.interval_min
    assert full(noted((0, 1770 * MIB), (1, 1770 * MIB)), Level.WARNING) == 5.0


def test_another_source_is_no_rise():
    rhythm = noted((0, GIB))
    rhythm.note(1, ram(20 * GIB, 64 * GIB, "host"))
    assert rhythm.rate == 0.0


def test_two_readings_at_once_tell_no_rate():
    rhythm = noted((0, GIB), (1, GIB + 100), (1.001, GIB + 50 * MIB))
    assert rhythm.rate == 100


def test_a_shortest_interval_above_the_rest_does_not_lengthen_it():
    rhythm = noted((0, 1735 * MIB), (1, 1738 * MIB))
    slow = Monitor(interval_min=5.0)
    assert rhythm.until_look(Level.NORMAL, Tiers(), slow, 1.0) == 1.0

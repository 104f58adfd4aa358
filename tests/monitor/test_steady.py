"""A reading of a moment ago is enough only where memory cannot have become short since."""

from __future__ import annotations

import pytest

from resource_gate.monitor.readings import MemoryReading
from resource_gate.monitor.steady import FASTEST, KEPT, SteadyReading

GB = 1024**3


class Machine:
    def __init__(self, used):
        self.now, self.used, self.reads = 1000.0, used, 0

    def read(self):
        self.reads += 1
        return MemoryReading(self.used, 100 * GB, "here")

    def reading(self):
        return SteadyReading(self.read, lambda limit: 0.85 * limit, lambda: self.now)


def test_with_headroom_a_moment_later_nothing_is_read():
    machine = Machine(50 * GB)
    look = machine.reading()
    first = look()
    machine.now += KEPT / 2
    machine.used = 51 * GB
    assert look() is first
    assert machine.reads == 1


def test_after_that_moment_it_is_read_afresh():
    machine = Machine(50 * GB)
    look = machine.reading()
    look()
    machine.now += KEPT * 1.01
    machine.used = 60 * GB
    assert look().used == 60 * GB


@pytest.mark.parametrize("left", [0.0, 0.2, 0.9])
def test_where_memory_could_have_become_short_meanwhile_it_is_read_afresh(left):
    seconds = KEPT / 2
    machine = Machine(int(85 * GB - FASTEST * seconds * left))
    look = machine.reading()
    look()
    machine.now += seconds
    machine.used = 84 * GB
    assert look().used == 84 * GB


def test_what_is_about_to_come_counts_as_used():
    machine = Machine(50 * GB)
    look = machine.reading()
    look()
    assert machine.reads == 1
    look(30 * GB)
    assert machine.reads == 1
    look(36 * GB)
    assert machine.reads == 2

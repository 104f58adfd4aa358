from __future__ import annotations

import time

from resource_gate.monitor.cpu import CpuReader, LinuxTimes, load_average, portable_times


class Machine:
    def __init__(self) -> None:
        self.busy = self.total = 0.0
        self.own = 0.0

    def __call__(self):
        return self.busy, self.total


def reader(machine, clock, load=lambda: (1.0, 2.0, 3.0)):
    return CpuReader(machine=machine, own=lambda: machine.own, cores=4, load=load, clock=clock)


def test_shares_are_of_the_time_between_two_readings(clock):
    machine = Machine()
    cpu = reader(machine, clock)
    clock.pass_(2.0)
    machine.busy, machine.total, machine.own = 6.0, 8.0, 3.0
    reading = cpu.read()
    assert (reading.fraction, reading.process_cores, reading.cores) == (0.75, 1.5, 4)
    assert reading.load == (1.0, 2.0, 3.0)
    clock.pass_(1.0)
    machine.total += 4.0
    assert cpu.read().fraction == 0.0


def test_the_first_moment_tells_nothing(clock):
    assert reader(Machine(), clock).read() is None


def test_readings_close_together_repeat_the_last_one(clock):
    machine = Machine()
    cpu = reader(machine, clock)
    clock.pass_(1.0)
    machine.busy, machine.total = 1.0, 4.0
    first = cpu.read()
    clock.pass_(0.1)
    machine.busy, machine.total = 1.4, 4.4
    assert cpu.read() is first


def test_a_counter_that_ran_backwards_means_idle_not_nonsense(clock):
    machine = Machine()
    machine.busy, machine.total, machine.own = 5.0, 9.0, 1.0
    cpu = reader(machine, clock)
    clock.pass_(1.0)
    machine.busy, machine.total, machine.own = 4.0, 8.0, 0.5
    reading = cpu.read()
    assert (reading.fraction, reading.process_cores) == (0.0, 0.0)


def test_waiting_for_a_disk_is_not_busy(tree):
    (tree.proc / "stat").write_text("cpu  10 20 30 400 500 6 7 8 9 9\ncpu0 1 2 3 4 5 6 7 8 9 9\n")
    assert LinuxTimes(tree.proc)() == (81, 981)


def test_psutils_times_have_the_same_form():
    busy, total = portable_times()
    assert 0 < busy < total


def test_a_system_without_a_load_average_tells_none(clock):
    cpu = reader(Machine(), clock, load=lambda: None)
    clock.pass_(1.0)
    assert cpu.read().load is None


def test_the_real_counters_see_this_process_work(clock):
    cpu = CpuReader(clock=clock)
    began = time.process_time()
    sum(range(2_000_000))
    worked = time.process_time() - began
    clock.pass_(1.0)
    reading = cpu.read()
    assert reading.process_cores >= worked
    assert 0.0 <= reading.fraction <= 1.0
    assert reading.load == load_average()

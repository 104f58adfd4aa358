"""What fails under the sampler costs what it would have told, and no more."""

from __future__ import annotations

import logging
import threading

from resource_gate.monitor.aside import Aside
from resource_gate.monitor.readers import Readers
from resource_gate.monitor.sampler import Sampler
from resource_gate.settings import Monitor, Settings

from .sampled import GIB, LONG, Process, sampler_of


def test_a_reader_that_raises_is_told_and_the_others_go_on(clock, heard, ram, caplog):
    def broken():
        raise OSError("gone")

    sampler = sampler_of(clock, heard, ram, process=Process(), cpu=broken)
    for _ in range(5):
        clock.pass_(sampler.tick())
    assert heard[-1].problems == {"cpu": "OSError: gone"}
    assert heard[-1].process is not None
    assert "cpu" not in heard[-1].levels
    assert len(caplog.records) == 1


def test_ram_that_cannot_be_read_stops_nothing_and_comes_back(clock, heard, ram, caplog):
    sampler = sampler_of(clock, heard, ram, process=Process())
    clock.pass_(sampler.tick())
    ram.error = OSError("no /proc")
    clock.pass_(sampler.tick())
    assert (heard[-1].ram, heard[-1].problems) == (None, {"ram": "OSError: no /proc"})
    ram.error = None
    clock.pass_(61)
    sampler.tick()
    assert (heard[-1].ram.used, heard[-1].problems) == (GIB, {})


def test_a_driver_that_hangs_costs_its_reading_and_one_line(clock, heard, ram, caplog):
    let = threading.Event()
    nvml = Aside("nvml", lambda: (let.wait(LONG), ())[1], wait=0.01, patience=10, clock=clock)
    sampler = sampler_of(clock, heard, ram, process=Process(), nvml=nvml)
    for _ in range(40):
        clock.pass_(sampler.tick())
    let.set()
    assert len(heard) == 40
    assert heard[0].problems == {}
    assert heard[-1].problems == {"nvml": "HungError: no answer for 10 s"}
    assert [r.levelno for r in caplog.records] == [logging.WARNING]


def test_a_dropped_driver_is_not_asked_until_it_is_tried_again(clock, heard, ram):
    calls = []

    def lost():
        calls.append(clock())
        raise OSError("lost")

    nvml = Aside("nvml", lost, wait=LONG, clock=clock, cpu=lambda: 0.0)
    sampler = sampler_of(clock, heard, ram, nvml=nvml)
    for _ in range(13):
        clock.pass_(sampler.tick())
    assert [c - calls[0] for c in calls] == [0.0, 60.0]


def test_a_listener_that_raises_is_logged_once_and_kept_off_the_others(clock, heard, ram, caplog):
    sampler = Sampler(Readers(ram=ram), Settings(), clock=clock)

    def faulty(sample):
        raise KeyError("mine")

    sampler.listen(faulty)
    sampler.listen(heard)
    for _ in range(3):
        clock.pass_(sampler.tick())
    assert len(heard) == 3
    assert len(caplog.records) == 1


def test_the_thread_outlives_a_fault_of_its_own(heard, ram, caplog):
    class Faulty(Sampler):
        turns = 0

        def tick(self) -> float:
            self.turns += 1
            if self.turns < 3:
                raise RuntimeError("a fault")
            return super().tick()

    sampler = Faulty(Readers(ram=ram), Settings(monitor=Monitor(interval=0.1)))
    sampler.listen(heard)
    sampler.start()
    assert heard.some.acquire(timeout=LONG)
    sampler.stop(LONG)
    assert len([r for r in caplog.records if "sampler failed" in r.getMessage()]) == 1

"""Readers that a test turns, a listener that keeps what it hears, and samplers on them."""

from __future__ import annotations

import threading

from resource_gate.monitor.aside import Aside
from resource_gate.monitor.readers import Readers
from resource_gate.monitor.readings import MemoryReading, ProcessReading
from resource_gate.monitor.sampler import Sampler
from resource_gate.settings import Settings

GIB = 1024**3
MIB = 1024**2
LONG = 10.0  # seconds a test waits for what must come at once; only a fault makes it that long


class Ram:
    def __init__(self, used: int = GIB, limit: int = 64 * GIB) -> None:
        self.used, self.limit = used, limit
        self.hand_limit = 0
        self.error: Exception | None = None
        self.reads = 0

    def read(self) -> MemoryReading:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return MemoryReading(self.used, self.limit, "host")


class Process:
    def read(self) -> ProcessReading:
        return ProcessReading(5, 9, 4, 1)


class Heard(list):
    """A listener that keeps what it is told, and on which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.some = threading.Semaphore(0)
        self.thread = None

    def __call__(self, sample) -> None:
        self.append(sample)
        self.thread = threading.current_thread()
        self.some.release()


def sampler_of(clock, heard, ram, settings=None, **readers):
    sampler = Sampler(Readers(ram=ram, **readers), settings or Settings(), clock=clock, wall=lambda: 1e9)
    sampler.listen(heard)
    return sampler


def answered(aside):
    aside.ask()
    aside.settle()
    return aside


def aside_of(value, clock, **more):
    return Aside("x", lambda: value, wait=LONG, clock=clock, cpu=lambda: 0.0, **more)

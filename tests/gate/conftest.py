"""A machine with one RAM reading, a rung that frees of it, and clocks that a test turns."""

from __future__ import annotations

from typing import Any

import pytest

from resource_gate.gate.admission import Admission
from resource_gate.gate.brake import Brake
from resource_gate.gate.journal.journal import Journal
from resource_gate.monitor.readings import Level, MemoryReading, ProcessReading
from resource_gate.reclaim.action import ActionLog
from resource_gate.reclaim.host import Place
from resource_gate.reclaim.ladder import Ladder
from resource_gate.settings import Settings, changed

GB = 1024**3
LIMIT = 100 * GB


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Rung:
    """Frees all it has."""

    name = "cache"
    level = Level.WARNING
    place = Place.BETWEEN_NODES

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def estimate(self, resource: str, place: Place) -> int:
        return self._machine.cached

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        machine = self._machine
        machine.places.append(place)
        machine.used, machine.cached = machine.used - machine.cached, 0
        return None, "dropped the cache"


class Peak:
    """Tells the peak that a test sets."""

    def __init__(self) -> None:
        self.value = 0
        self.started = 0
        self.vram: dict[int, int] = {}
        self.weights: dict[int, int] = {}
        self.resident = None

    def start(self, now: object = None) -> None:
        self.started += 1

    def stop(self) -> int:
        return self.value


class Machine:
    """RAM of 100 GB, in percent; and the parts of the gate upon it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.wall = Clock()
        self.wall.now = 5000.0
        self.used = 0
        self.cached = 0
        self.reads = 0
        self.places: list[Place] = []
        self.settings = Settings()
        self.actions = ActionLog()
        self.peak = Peak()
        self.resident = ProcessReading(0, 0, 0)
        self.pushed: list[Any] = []
        self.ladder = Ladder({"ram": [Rung(self)]}, lambda r: self.used, self.actions, clock=self.clock)
        self.admission = Admission(
            self.ladder,
            self.read,
            lambda: self.settings,
            changed=self.pushed.append,
            clock=self.clock,
            wall=self.wall,
        )
        self.free = 0
        """Bytes of the process that lie free inside its heap."""
        self.worth: list[bool] = []
        """Of each look into it, whether it may take a while."""
        self.brake = Brake(
            *(self.ladder, self.read, lambda: self.settings),
            peak=self.peak,
            resident=lambda: self.resident,
            free_in_heap=self.look_into_heap,
            clock=self.clock,
        )

    def look_into_heap(self, anonymous: int, worth: bool) -> int:
        self.worth.append(worth)
        return self.free

    def read(self) -> MemoryReading:
        self.reads += 1
        return MemoryReading(self.used, LIMIT, "host")

    def at(self, percent: float) -> Machine:
        self.used = int(percent * GB)
        return self

    def set(self, **change: Any) -> Machine:
        self.settings = changed(self.settings, change)
        return self

    def wait(self, seconds: float) -> Machine:
        self.clock.now += seconds
        self.wall.now += seconds
        return self


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def start(tmp_path, machine):
    """Begin a process's journal; the ones before are left as a kill leaves them."""
    begun = []

    def begin(output=None, deaths=2):
        journal = Journal(tmp_path, lambda: deaths, output, wall=machine.wall, clock=machine.clock)
        journal.open()
        begun.append(journal)
        return journal

    yield begin
    for journal in begun:
        journal._store.close()

"""A context that records, a clock that sleeping moves, a ladder upon one number."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from resource_gate.monitor.readings import DiskReading, GpuReading, Level, MemoryReading, Sample
from resource_gate.reclaim.action import ActionLog
from resource_gate.reclaim.host import Place
from resource_gate.reclaim.ladder import Ladder

GB = 1024**3


class Interrupted(BaseException):
    """ComfyUI's own exception, which is a BaseException."""


class Context:
    """What a running node is given."""

    node_id = "5"

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.bar: list[tuple[float, float]] = []
        self.again = 0
        self.checks = 0
        self.interrupt_at: int | None = None

    def check_interrupt(self) -> None:
        self.checks += 1
        if self.interrupt_at is not None and self.checks > self.interrupt_at:
            raise Interrupted

    def show(self, text: str) -> None:
        self.shown.append(text)

    def progress(self, value: float, total: float) -> None:
        self.bar.append((value, total))

    def run_again(self) -> None:
        self.again += 1


class Machine:
    """Readings in percent of 100 GB, and time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.percent = 50.0
        self.falls = 0.0
        """Percent a second by which RAM falls."""
        self.gives = 0.0
        """Percent that a climb frees."""
        self.gpus: tuple[GpuReading, ...] = ()
        self.disks: tuple[DiskReading, ...] = ()
        self.sampled = True
        self.places: list[tuple[str, Place, Level]] = []
        self.actions = ActionLog()
        machine = self

        class Rung:
            name, level, place = "cache", Level.WARNING, Place.BETWEEN_NODES

            def estimate(self, resource: str, place: Place) -> int:
                return int(machine.gives * GB)

            def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
                machine.percent, machine.gives = machine.percent - machine.gives, 0.0
                return None, "dropped"

        rungs = [Rung()]
        self.ladder = Ladder(
            {"ram": rungs, "vram": rungs, "disk": rungs}, lambda r: int(self.percent * GB), self.actions
        )
        climb = self.ladder.climb

        class Watched:
            def climb(self, shortage: Any, place: Place) -> Any:
                machine.places.append((shortage.resource, place, shortage.level))
                return climb(shortage, place)

        self.watched: Any = Watched()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.percent -= self.falls * seconds

    def ram(self) -> MemoryReading:
        return MemoryReading(int(self.percent * GB), 100 * GB, "host")

    def sample(self) -> Sample | None:
        return Sample(0, 0, gpus=self.gpus, disks=self.disks) if self.sampled else None


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def kinds() -> Any:
    return SimpleNamespace(Interrupted=Interrupted)

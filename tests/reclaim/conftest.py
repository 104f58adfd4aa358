"""A clock that a test turns, a host with outputs and models in plain lists, rungs that free a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resource_gate.monitor.readings import Level
from resource_gate.reclaim.host import CachedOutput, LoadedModel, Place
from resource_gate.reclaim.temp import TempCleaner
from resource_gate.reclaim.temp_files import open_files
from resource_gate.settings import Reclaim

from .temp_tree import Wall


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Memory:
    """Bytes in use, which rungs lower and tests raise."""

    used: int = 1 << 40

    def measure(self, resource: str) -> int:
        return self.used


@dataclass
class FakeRung:
    """Frees up to `has` bytes, or raises."""

    memory: Memory
    name: str = "fake"
    has: int = 0
    guess: int | None = -1
    """What it estimates; -1: what it has."""
    level: Level = Level.WARNING
    place: Place = Place.ANYWHERE
    error: Exception | None = None
    estimate_error: Exception | None = None
    goals: list[int | None] = field(default_factory=list)

    def estimate(self, resource: str, place: Place) -> int | None:
        if self.estimate_error is not None:
            raise self.estimate_error
        return self.has if self.guess == -1 else self.guess

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        self.goals.append(goal)
        if self.error is not None:
            raise self.error
        going, self.has = self.has, 0
        self.memory.used -= going
        return None, f"{self.name} did"


@dataclass
class FakeHost:
    """A `MemoryHost` over lists; the worker runs what it was asked when a test says so."""

    cached: list[CachedOutput] = field(default_factory=list)
    loaded: list[LoadedModel] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    unloaded: list[str] = field(default_factory=list)
    work: list[Callable[[Place], None]] = field(default_factory=list)
    slack: int = 0
    emptied: int = 0
    temp: Path | None = None
    referenced: set[Path] = field(default_factory=set)
    on_drop: Callable[[list[CachedOutput]], None] = lambda outputs: None

    def outputs(self) -> list[CachedOutput]:
        return list(self.cached)

    def drop_outputs(self, outputs: Iterable[CachedOutput]) -> None:
        going = list(outputs)
        self.dropped += [o.node for o in going]
        self.cached = [o for o in self.cached if o not in going]
        self.on_drop(going)

    def models(self) -> list[LoadedModel]:
        return list(self.loaded)

    def unload_models(self, models: Iterable[LoadedModel]) -> None:
        going = list(models)
        self.unloaded += [m.name for m in going]
        self.loaded = [m for m in self.loaded if m not in going]

    def device_slack(self) -> int:
        return self.slack

    def empty_device_cache(self) -> None:
        self.emptied += 1
        self.slack = 0

    def temp_folder(self) -> Path | None:
        return self.temp

    def referenced_files(self) -> set[Path]:
        return self.referenced

    def on_worker(self, work: Callable[[Place], None]) -> None:
        self.work.append(work)

    def at_boundary(self, place: Place = Place.BETWEEN_NODES) -> None:
        """Do as the worker thread does between two nodes or prompts."""
        work, self.work = self.work, []
        for one in work:
            one(place)


@dataclass
class FakeTempHost:
    """A `TempHost` over one folder; its worker runs what it was asked when a test says so."""

    temp: Path | None
    kept: list[Path] = field(default_factory=list)
    referenced: set[Path] = field(default_factory=set)
    since: float | None = None
    held: set[str] = field(default_factory=set)
    """What cached outputs lead to."""
    released: list[tuple[set[str], Place]] = field(default_factory=list)
    work: list[Callable[[Place], None]] = field(default_factory=list)
    error: Exception | None = None

    def temp_folder(self) -> Path | None:
        return self.temp

    def kept_folders(self) -> list[Path]:
        return self.kept

    def referenced_files(self) -> set[Path]:
        if self.error is not None:
            raise self.error
        return set(self.referenced)

    def running_since(self) -> float | None:
        return self.since

    def release_files(self, paths: Any, place: Place) -> set[str]:
        self.released.append((set(paths), place))
        return set(paths) - self.held

    def on_worker(self, work: Callable[[Place], None]) -> None:
        self.work.append(work)

    def at_boundary(self, place: Place) -> None:
        work, self.work = self.work, []
        for one in work:
            one(place)


@pytest.fixture
def temp_host(tmp_path: Path) -> FakeTempHost:
    """Temp, input and output beside each other, as a ComfyUI has them."""
    for name in ("temp", "input", "output"):
        (tmp_path / name).mkdir()
    return FakeTempHost(tmp_path / "temp", [tmp_path / "input", tmp_path / "output"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
def fakes() -> Any:
    """The classes, for tests that need several."""
    return SimpleNamespace(Clock=Clock, Memory=Memory, FakeRung=FakeRung, FakeHost=FakeHost)


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def temp(temp_host):
    return temp_host.temp


@pytest.fixture
def build(temp_host, clock, wall):
    def make(opened=open_files, **settings):
        reclaim = Reclaim(**settings)
        return TempCleaner(temp_host, lambda: reclaim, opened=opened, now=wall, clock=clock)

    return make

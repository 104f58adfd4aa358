"""From samples to actions: when a level calls for the ladder, and how long it rests afterwards."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ..monitor.level import entry_of
from ..monitor.readings import Level, Sample
from ..settings import Settings, Tiers
from .action import human
from .host import MemoryHost, Place
from .ladder import WORTHWHILE, Ladder, Shortage

log = logging.getLogger(__name__)


class _Rest:
    def __init__(self, level: Level, until: float, freed_enough: bool) -> None:
        self.level = level
        self.until = until
        self.freed_enough = freed_enough


class Guard:
    """A listener of samples: acts at once where any thread may, and asks the worker for the rest.

    At most one action in `reclaim.pause` seconds for a resource at a level; a higher level acts at once, and an
    action that freed too little lets the next go one level further (for VRAM up to `critical`: ComfyUI fills VRAM
    on purpose and unloads on demand, so above that it is the better judge).
    """

    def __init__(
        self,
        ladder: Ladder,
        host: MemoryHost,
        settings: Callable[[], Settings],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ladder = ladder
        self._host = host
        self._settings = settings
        self._clock = clock
        self._resting: dict[str, _Rest] = {}
        self._asked: set[str] = set()
        self._wanted: dict[str, Shortage] = {}

    def on_sample(self, sample: Sample) -> None:
        """Act on what the sample shows. Called on the sampler's thread."""
        settings = self._settings()
        if not settings.reclaim.enabled:
            self._wanted.clear()
            return
        for resource, level in sample.levels.items():
            if level == Level.NORMAL or resource == "cpu":
                self._resting.pop(resource, None)
                self._wanted.pop(resource, None)
                continue
            shortage = self._shortage(sample, resource, level, settings)
            if shortage is not None:
                self._act(shortage, level, settings)

    def _act(self, shortage: Shortage, level: Level, settings: Settings) -> None:
        resource = shortage.resource
        rest = self._resting.get(resource)
        now = self._clock()
        if rest is not None and level <= rest.level and now < rest.until:
            return
        if rest is not None and not rest.freed_enough:
            further = Level(min(_highest(resource), shortage.level + 1))
            shortage = shortage._replace(level=further)
        action = self._ladder.climb(shortage, Place.ANYWHERE, wait=False)
        if action is None:
            return
        enough = action.met or action.freed >= WORTHWHILE
        self._resting[resource] = _Rest(level, now + settings.reclaim.pause, enough)
        if action.met:
            self._wanted.pop(resource, None)
        else:
            self._ask_worker(shortage)

    def _ask_worker(self, shortage: Shortage) -> None:
        resource = shortage.resource
        self._wanted[resource] = shortage
        if resource in self._asked:
            return
        self._asked.add(resource)

        def work(place: Place) -> None:
            self._asked.discard(resource)
            # A node may have run for minutes since: what counts is what is short now, and it may be nothing.
            wanted = self._wanted.pop(resource, None)
            if wanted is not None:
                self._ladder.climb(wanted, place)

        self._host.on_worker(work)

    def _shortage(self, sample: Sample, resource: str, level: Level, settings: Settings) -> Shortage | None:
        if resource == "ram" and sample.ram is not None:
            return shortage_of("ram", sample.ram.used, sample.ram.limit, level, settings.ram)
        for gpu in sample.gpus:
            if resource == f"vram{gpu.index}":
                capped = min(level, _highest(resource))
                return shortage_of(resource, gpu.working_set, gpu.total, capped, settings.vram)
        for disk in sample.disks:
            if resource == f"disk_{disk.roles[0]}":
                return shortage_of(resource, disk.total - disk.free, disk.total, level, settings.disk)
        return None


def shortage_of(resource: str, used: int, limit: int, level: Level, tiers: Tiers) -> Shortage:
    """What must be freed for `used` to fall below where every level is left, by share and by bytes free."""
    entry = min(entry_of(tier, limit, tiers) for tier in (Level.WARNING, Level.CRITICAL, Level.EMERGENCY))
    goal = max(0, used - int(entry - limit * tiers.leave))
    why = f"{name_of(resource)} {used / limit:.0%} of {human(limit)} ({level.label})"
    return Shortage(resource, level, why, goal, {"code": "level", "fraction": used / limit, "limit": limit})


def _highest(resource: str) -> Level:
    return Level.CRITICAL if resource.startswith("vram") else Level.EMERGENCY


def name_of(resource: str) -> str:
    """A resource as a person reads it: `RAM`, `VRAM 0`, `disk (output)`."""
    kind, _, role = resource.partition("_")
    if role:
        return f"{kind} ({role})"
    name = kind.rstrip("0123456789")
    return f"{name.upper()} {kind[len(name) :]}".strip()

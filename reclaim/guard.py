"""From samples to actions: when a level calls for the ladder, and how long it rests afterwards."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..monitor.readings import Level, Sample
from ..settings import Settings, Tiers
from .action import human
from .host import MemoryHost, Place
from .ladder import WORTHWHILE, Ladder, Shortage

log = logging.getLogger(__name__)


@dataclass
class _Rest:
    level: Level
    until: float
    freed_enough: bool


class Guard:
    """A listener of samples: acts at once where any thread may, and asks the worker for the rest.

    At most one action in `reclaim.pause` seconds for a resource at a level; a higher level acts at once, and an
    action that freed too little lets the next go one level further.
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

    def on_sample(self, sample: Sample) -> None:
        """Act on what the sample shows. Called on the sampler's thread."""
        settings = self._settings()
        if not settings.reclaim.enabled:
            return
        for resource, level in sample.levels.items():
            if level == Level.NORMAL or resource == "cpu":
                self._resting.pop(resource, None)
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
            further = Level(min(Level.EMERGENCY, shortage.level + 1))
            shortage = Shortage(resource, further, shortage.why, shortage.goal)
        action = self._ladder.climb(shortage, Place.ANYWHERE, wait=False)
        if action is None:
            return
        enough = action.met or action.freed >= WORTHWHILE
        self._resting[resource] = _Rest(level, now + settings.reclaim.pause, enough)
        if not action.met:
            self._ask_worker(shortage)

    def _ask_worker(self, shortage: Shortage) -> None:
        if shortage.resource in self._asked:
            return
        self._asked.add(shortage.resource)

        def work(place: Place) -> None:
            self._asked.discard(shortage.resource)
            self._ladder.climb(shortage, place)

        self._host.on_worker(work)

    def _shortage(self, sample: Sample, resource: str, level: Level, settings: Settings) -> Shortage | None:
        if resource == "ram" and sample.ram is not None:
            return shortage_of("ram", sample.ram.used, sample.ram.limit, level, settings.ram)
        for gpu in sample.gpus:
            if resource == f"vram{gpu.index}":
                # ComfyUI fills VRAM on purpose and unloads on demand: above `critical` it is the better judge.
                capped = min(level, Level.CRITICAL)
                return shortage_of(resource, gpu.used, gpu.total, capped, settings.vram)
        for disk in sample.disks:
            if resource == f"disk_{disk.roles[0]}":
                return shortage_of(resource, disk.total - disk.free, disk.total, level, settings.disk)
        return None


def shortage_of(resource: str, used: int, limit: int, level: Level, tiers: Tiers) -> Shortage:
    """What must be freed for `used` to fall below where the warning level is left."""
    goal = max(0, used - int(limit * (tiers.warning - tiers.leave)))
    why = f"{name_of(resource)} {used / limit:.0%} of {human(limit)} ({level.label})"
    return Shortage(resource, level, why, goal)


def name_of(resource: str) -> str:
    """A resource as a person reads it: `RAM`, `VRAM 0`, `disk (output)`."""
    kind, _, role = resource.partition("_")
    if role:
        return f"{kind} ({role})"
    name = kind.rstrip("0123456789")
    return f"{name.upper()} {kind[len(name) :]}".strip()

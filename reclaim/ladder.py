"""The ladder: rungs in order, cheapest first, each measured, until the goal is met."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from ..monitor.readings import Level
from .action import Action, ActionLog, Cause, Step
from .host import Place

log = logging.getLogger(__name__)

WORTHWHILE = 16 * 1024**2
"""Bytes below which a rung's gain counts as nothing: about the noise of a process that computes."""

BACKOFF_FIRST, BACKOFF_MAX = 30.0, 600.0
"""Seconds a rung rests after it gave nothing, doubled each time; cut short where its estimate has grown since."""


class _Rest(NamedTuple):
    until: float
    pause: float
    estimate: int


class Shortage(NamedTuple):
    """What is short, and how far the ladder may go for it."""

    resource: str
    """`ram`, `vram0` …, `disk_output` …"""
    level: Level
    """Rungs above this level stay untouched."""
    why: str
    goal: int | None = None
    """Bytes to free; None: all that this level allows."""
    cause: Cause | None = None
    """`why` in parts, where it has any."""
    asked: bool = False
    """Somebody asked for it: a rung that gave nothing a moment ago is tried all the same."""

    @property
    def kind(self) -> str:
        """The resource without number and role: `ram`, `vram`, `disk`."""
        return self.resource.partition("_")[0].rstrip("0123456789")


class Rung(Protocol):
    """One way to give memory back."""

    name: str
    level: Level
    """From which level on it may be used."""
    place: Place
    """The least place it needs."""

    def estimate(self, resource: str, place: Place) -> int | None:
        """Bytes it could free now; 0: pointless; None: only trying tells."""
        ...

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Do it. Returns the bytes freed where the rung knows them better than a measurement, and what it did."""
        ...


class Ladder:
    """Climbs one at a time, whoever calls.

    Args:
        rungs: by kind of shortage (`ram`, `vram`, `disk`), in the order to try them.
        measure: resource name → bytes used now; what a rung freed is the difference.
        actions: where each climb that did something is told.
    """

    def __init__(
        self,
        rungs: Mapping[str, Sequence[Rung]],
        measure: Callable[[str], int],
        actions: ActionLog,
        *,
        dry_run: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._rungs = rungs
        self._measure = measure
        self._actions = actions
        self._dry_run = dry_run
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._resting: dict[tuple[str, str], _Rest] = {}
        self._broken: set[str] = set()
        self.climbs = 0
        """How often it was climbed: where the number is the same, nothing was freed in between."""

    def climb(self, shortage: Shortage, place: Place, *, wait: bool = True) -> Action | None:
        """Free what `shortage` asks for, with what may be touched at `place`.

        Returns:
            What was done; with no steps where there was nothing to try. None where another climb is under way
            and `wait` is false.
        """
        if not self._lock.acquire(blocking=wait):
            return None
        try:
            return self._climb(shortage, place)
        finally:
            self._lock.release()

    def allowed(self, shortage: Shortage, place: Place) -> list[Rung]:
        """The rungs that may be used for it there, in their order."""
        return [r for r in self._rungs.get(shortage.kind, ()) if r.level <= shortage.level and r.place <= place]

    def _climb(self, shortage: Shortage, place: Place) -> Action:
        self.climbs += 1
        dry = self._dry_run()
        steps: list[Step] = []
        freed = 0
        for rung in self.allowed(shortage, place):
            if shortage.goal is not None and freed >= shortage.goal:
                break
            estimate = self._worth_trying(rung, shortage, place)
            if estimate == 0:
                continue
            if dry:
                steps.append(Step(rung.name, estimate or 0, 0.0))
                freed += estimate or 0
                self._remember(rung, shortage.resource, 0, estimate or 0)  # or it would say so at every look
                continue
            step = self._step(rung, shortage, place, None if shortage.goal is None else shortage.goal - freed)
            steps.append(step)
            freed += max(0, step.freed)
            self._remember(rung, shortage.resource, step.freed, estimate or 0)
        met = shortage.goal is None or freed >= shortage.goal
        action = Action(
            self._wall(),
            shortage.level,
            shortage.resource,
            shortage.why,
            place,
            tuple(steps),
            shortage.goal,
            met,
            dry,
            shortage.cause,
        )
        if steps:
            log.info("%s", action.text)
            self._actions.add(action)
        return action

    def _step(self, rung: Rung, shortage: Shortage, place: Place, goal: int | None) -> Step:
        before = self._measure(shortage.resource)
        start = self._clock()
        known: int | None = None
        try:
            known, detail = rung.free(shortage.resource, place, goal)
        except Exception as error:
            detail = f"{rung.name} failed ({type(error).__name__}: {error})"
            if rung.name not in self._broken:
                self._broken.add(rung.name)
                log.warning("%s; it is skipped, the other steps stay in force", detail, exc_info=True)
        seconds = self._clock() - start
        freed = before - self._measure(shortage.resource) if known is None else known
        return Step(rung.name, freed, seconds, detail)

    def _worth_trying(self, rung: Rung, shortage: Shortage, place: Place) -> int | None:
        resource = shortage.resource
        try:
            estimate = rung.estimate(resource, place)
        except Exception as error:
            if rung.name not in self._broken:
                self._broken.add(rung.name)
                log.warning("%s cannot be estimated (%s); it is skipped", rung.name, error, exc_info=True)
            return 0
        rest = self._resting.get((rung.name, resource))
        if (
            shortage.asked
            or rest is None
            or self._clock() >= rest.until
            or (estimate or 0) >= rest.estimate + WORTHWHILE
        ):
            return estimate
        return 0

    def _remember(self, rung: Rung, resource: str, freed: int, estimate: int) -> None:
        key = rung.name, resource
        if freed >= WORTHWHILE:
            self._resting.pop(key, None)
            return
        last = self._resting.get(key)
        pause = min(BACKOFF_MAX, last.pause * 2) if last else BACKOFF_FIRST
        self._resting[key] = _Rest(self._clock() + pause, pause, estimate)

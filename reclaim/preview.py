"""What freeing would do and what it would cost, without doing it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..monitor.readings import Level, Sample
from .action import human
from .host import MemoryHost, Place
from .ladder import Ladder, Rung, Shortage
from .request import BUSY_WAIT, IDLE_WAIT
from .rungs import DeviceCache, HeapTrim, Models, Outputs

log = logging.getLogger(__name__)

TELLING = 1024**2
"""Bytes below which a step is not worth a word in the text."""


NESTED = (DeviceCache, HeapTrim, Models, Outputs)
"""Kinds of rungs of which a later one may take all that an earlier one may, and more."""


class WouldDo(NamedTuple):
    """One rung; `frees` is None where only trying tells."""

    name: str
    frees: int | None


class Preview:
    """What a request for `level` would come to for one resource."""

    def __init__(self, level: Level, resource: str, place: Place) -> None:
        self.level = level
        self.resource = resource
        self.place = place
        self.steps: list[WouldDo] = []
        self.dropped: set[str] = set()
        """Nodes whose cached outputs would go: they run again when the same workflow runs again."""
        self.models: list[str] = []
        """Models that would have to be loaded again."""

    @property
    def frees(self) -> int:
        """Bytes, as far as they can be told."""
        return sum(step.frees or 0 for step in self.steps)

    def as_action(self, now: float, why: str) -> dict[str, Any]:
        """In the form of an `Action`; a rung's `freed` is None where only trying tells."""
        told = [
            s.name + ("" if s.frees is None else f" ({human(s.frees)})")
            for s in self.steps
            if s.frees is None or s.frees >= TELLING
        ]
        return {
            "time": now,
            "level": self.level.label,
            "resource": self.resource,
            "why": why,
            "place": self.place.name.lower().replace("_", " "),
            "rungs": [{"name": s.name, "freed": s.frees, "seconds": 0.0, "detail": ""} for s in self.steps],
            "freed": self.frees,
            "goal": None,
            "met": True,
            "dry_run": True,
            "text": f"{why}: would try: {'; '.join(told) or 'nothing of weight'}",
        }


class FreePreview:
    """Asks the rungs of a ladder what they would do; changes nothing, and no later climb is influenced by it.

    Args:
        sample: which GPUs there are.
        idle: whether the worker runs no prompt.
    """

    def __init__(
        self,
        ladder: Ladder,
        host: MemoryHost,
        sample: Callable[[], Sample | None],
        idle: Callable[[], bool],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ladder = ladder
        self._host = host
        self._sample = sample
        self._idle = idle
        self._wall = wall

    def free(self, level: Level, why: str = "dry run") -> dict[str, Any]:
        """The answer of `POST free {"dry_run": true}`. Not on the event loop: it waits up to 10 s for the worker."""
        found, deferred = self._look([level])
        actions = [p.as_action(self._wall(), why) for p in found if p.steps]
        return {
            "ok": True,
            "dry_run": True,
            "freed": 0,
            "would_free": sum(p.frees for p in found),
            "actions": actions,
            "deferred": deferred,
        }

    def costs(self) -> dict[str, Any]:
        """The answer of `GET free/costs`: for each level bytes, nodes that run again, models that load again.

        What only the worker can tell is None while it runs a node. Not on the event loop.
        """
        levels = [Level.WARNING, Level.CRITICAL, Level.EMERGENCY]
        found, deferred = self._look(levels)
        costs: dict[str, Any] = {}
        for level in levels:
            mine = [p for p in found if p.level is level]
            whole = deferred is None
            costs[level.label] = {
                "bytes": sum(p.frees for p in mine) if whole else None,
                "text": f"free.cost.{level.label}",
                "reruns": len(set().union(*(p.dropped for p in mine))) if whole else None,
                "reloads": list(dict.fromkeys(m for p in mine for m in p.models)) if whole else None,
            }
        return {**costs, "deferred": deferred}

    def _look(self, levels: list[Level]) -> tuple[list[Preview], str | None]:
        done, given_up = threading.Event(), threading.Event()
        found: list[Preview] = []

        def work(place: Place) -> None:
            if given_up.is_set():
                return
            try:
                found.extend(self._all(levels, place))
            finally:
                done.set()

        idle = self._idle()
        self._host.on_worker(work)
        if done.wait(IDLE_WAIT if idle else BUSY_WAIT):
            return list(found), None
        given_up.set()
        reason = f"the prompt worker did not answer within {IDLE_WAIT:.0f} s" if idle else "a node is running"
        told = f"{reason}; what would be done with models and cached outputs cannot be told until it is done"
        return self._all(levels, Place.ANYWHERE), told

    def _all(self, levels: list[Level], place: Place) -> list[Preview]:
        sample = self._sample()
        resources = ["ram", *(f"vram{g.index}" for g in (sample.gpus if sample else ())), "disk"]
        return [self._one(level, resource, place) for level in levels for resource in resources]

    def _one(self, level: Level, resource: str, place: Place) -> Preview:
        preview = Preview(level, resource, place)
        counted: dict[type, int] = {}
        for rung in self._ladder.allowed(Shortage(resource, level, "dry run"), place):
            try:
                estimate = rung.estimate(resource, place)
                if estimate == 0:
                    continue
                self._count_losses(preview, rung, resource)
            except Exception as error:  # noqa: BLE001 - a rung's error must not reach the worker thread
                log.warning("%s cannot be estimated (%s); the dry run leaves it out", rung.name, error)
                continue
            if estimate is not None and isinstance(rung, NESTED):
                before = counted.get(type(rung), 0)
                counted[type(rung)] = max(before, estimate)
                estimate -= before
                if estimate <= 0:
                    continue
            preview.steps.append(WouldDo(rung.name, estimate))
        return preview

    def _count_losses(self, preview: Preview, rung: Rung, resource: str) -> None:
        if isinstance(rung, Outputs):
            going = rung.going(resource)
            preview.dropped.update(output.node for output in going)
            preview.models += [output.node for output in going if output.models]
        elif isinstance(rung, Models):
            preview.models += [model.name for model in rung.going()]

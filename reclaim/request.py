"""Freeing on request: from the panel, the API, Python. What the worker must do is done there, or told as deferred."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from ..monitor.readings import Level, Sample
from .action import Action, Cause
from .host import MemoryHost, Place
from .ladder import Ladder, Shortage

IDLE_WAIT = 10.0
"""Seconds to wait for an idle worker: it is woken at once, and a full climb takes well below a second."""

BUSY_WAIT = 0.5
"""Seconds to wait for a busy one; a node may run for minutes, and the rest can follow between nodes."""


class Freed(NamedTuple):
    """What a request came to. `deferred` says what has to wait and why, `cause` the same as a code; None where all is
    done."""

    actions: tuple[Action, ...] = ()
    deferred: str | None = None
    goal: int | None = None
    """Bytes of RAM that were asked for; None: all that the level allows."""
    cause: Cause | None = None

    @property
    def freed(self) -> int:
        """Bytes, of all resources together."""
        return sum(a.freed for a in self.actions)

    def as_dict(self) -> dict[str, Any]:
        """The answer of `POST free`."""
        return {
            "ok": self.deferred is None,
            "freed": self.freed,
            "goal": self.goal,
            "short": max(0, (self.goal or 0) - self.freed),
            "actions": [a.as_dict() for a in self.actions],
            "deferred": self.deferred,
        } | ({} if self.deferred is None else {"error": {"message": self.deferred, "fields": []}, "cause": self.cause})


class FreeRequest:
    """Climbs the ladder for everything that a level allows.

    Args:
        sample: which GPUs there are.
        idle: whether the worker runs no prompt.
    """

    def __init__(
        self, ladder: Ladder, host: MemoryHost, sample: Callable[[], Sample | None], idle: Callable[[], bool]
    ) -> None:
        self._ladder = ladder
        self._host = host
        self._sample = sample
        self._idle = idle
        self._lock = threading.Lock()
        self._last: dict[tuple[Level, int | None], threading.Event] = {}
        """Of each kind of request the last one: where several wait for the worker, only that one is done."""

    def free(self, level: Level, goal: int | None = None, why: str = "asked for") -> Freed:
        """Free now. Any thread but the worker's and the event loop's: it waits up to 10 s.

        Args:
            goal: bytes of RAM that are enough; None for all that `level` allows.
        """
        done = threading.Event()
        actions: list[Action] = []

        given_up = threading.Event()

        def work(place: Place) -> None:
            try:
                with self._lock:
                    newest = self._last.get((level, goal)) is done
                    if newest:
                        del self._last[level, goal]
                if newest or not given_up.is_set():
                    actions.extend(self._climb(level, goal, why, place))
            finally:
                done.set()

        with self._lock:
            self._last[level, goal] = done
        idle = self._idle()
        self._host.on_worker(work)
        if done.wait(IDLE_WAIT if idle else BUSY_WAIT):
            return Freed(tuple(actions), goal=goal)
        given_up.set()
        now = self._climb(level, goal, why, Place.ANYWHERE)
        reason = f"the prompt worker did not answer within {IDLE_WAIT:.0f} s" if idle else "a node is running"
        told = f"{reason}; what touches models and cached outputs follows when it is done"
        return Freed(tuple(now), told, goal, {"code": "worker" if idle else "node"})

    def free_soon(self, level: Level, why: str) -> None:
        """Free on the worker at the next boundary, and wait for nothing. Any thread."""

        def work(place: Place) -> None:
            self._climb(level, None, why, place)

        self._host.on_worker(work)

    def _climb(self, level: Level, goal: int | None, why: str, place: Place) -> list[Action]:
        # A goal is one of RAM: with it nothing else is freed, least of all models from a device into that RAM.
        sample = self._sample() if goal is None else None
        others = [*(f"vram{g.index}" for g in (sample.gpus if sample else ())), "disk"]
        resources = ["ram", *(others if goal is None else ())]
        climbed = (
            self._ladder.climb(Shortage(r, level, why, goal, {"code": "asked"}, asked=True), place) for r in resources
        )
        # Of a goal it is told what came of it also where there was nothing to give back.
        return [a for a in climbed if a is not None and (a.steps or goal is not None)]

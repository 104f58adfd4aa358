"""What the ladder did, and the one line about it that a person understands."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..monitor.readings import Level
from .host import Place


def human(size: float) -> str:
    """Bytes as a person writes them, in powers of 1024: `812 MB`, `2.3 GB`."""
    for unit in ("bytes", "KB", "MB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"


Cause = Mapping[str, str | float]
"""A reason as a code and its numbers, for who says it in another language than English: `{"code": "level", "fraction":
0.91, "limit": 34359738368}`. Shares 0–1, bytes, seconds."""

TELLING = 1024**2
"""Bytes from which a step is named in the text, where any step came to that much."""


class Step(NamedTuple):
    """One rung: bytes it freed, measured before and after, and the seconds it took."""

    name: str
    freed: int
    seconds: float
    detail: str = ""


class Action(NamedTuple):
    """One climb of the ladder. `goal` is in bytes, None where it was "as much as this level allows"."""

    time: float
    level: Level
    resource: str
    why: str
    place: Place
    steps: tuple[Step, ...]
    goal: int | None
    met: bool
    dry_run: bool = False
    cause: Cause | None = None
    """`why` in parts; None where it is only told in words."""

    @property
    def freed(self) -> int:
        """Bytes freed by all steps; one that grew in the meantime counts as nothing, not as a loss."""
        return sum(max(0, s.freed) for s in self.steps)

    @property
    def text(self) -> str:
        """Why, what was done, what came of it."""
        short = "" if self.met or self.goal is None else f", {human(self.goal - self.freed)} short of the goal"
        if not self.steps:
            return f"{self.why}: nothing to give back here{short}"
        told = [s for s in self.steps if s.freed >= TELLING] or self.steps
        done = "; ".join(s.detail or s.name for s in told)
        if self.dry_run:
            return f"{self.why}: would have tried: {done}"
        seconds = sum(s.seconds for s in self.steps)
        return f"{self.why}: {done}; {human(self.freed)} freed in {seconds * 1000:.0f} ms{short}"

    def as_dict(self) -> dict[str, Any]:
        """The form that the API and the event carry."""
        return {
            "time": self.time,
            "level": self.level.label,
            "resource": self.resource,
            "why": self.why,
            "cause": self.cause,
            "place": self.place.name.lower().replace("_", " "),
            "rungs": [{"name": s.name, "freed": s.freed, "seconds": s.seconds, "detail": s.detail} for s in self.steps],
            "freed": self.freed,
            "goal": self.goal,
            "met": self.met,
            "dry_run": self.dry_run,
            "text": self.text,
        }


class ActionLog:
    """The last actions, newest last, for whoever asks; tells listeners of each new one. Any thread."""

    def __init__(self, size: int = 500) -> None:
        self._actions: deque[Action] = deque(maxlen=size)
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Action], None]] = []
        self.count = 0
        """Actions since the start."""
        self.freed = 0
        """Bytes they freed together."""

    def listen(self, listener: Callable[[Action], None]) -> None:
        """Call `listener` with every later action, on the thread that acted."""
        self._listeners.append(listener)

    def add(self, action: Action) -> None:
        """Append one."""
        with self._lock:
            self._actions.append(action)
            self.count += 1
            self.freed += 0 if action.dry_run else action.freed
        for listener in self._listeners:
            listener(action)

    @property
    def last(self) -> Action | None:
        """The newest, or None."""
        with self._lock:
            return self._actions[-1] if self._actions else None

    def all(self) -> list[Action]:
        """Oldest first."""
        with self._lock:
            return list(self._actions)

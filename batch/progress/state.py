"""What is known of a running batch, gathered from its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .eta import WINDOW, Eta, estimate

UP = frozenset({"up", "ready", "back", "well"})
"""What is said of a server that can work."""
SET_BACK = 5.0
"""Seconds by which an event is earlier than the one before it where the clock was set back, and not another thread told
of it a moment later."""
TIERS = {"warning": 0.85, "critical": 0.9, "emergency": 0.95}
"""Fractions of the limit, where a server does not tell its own."""


@dataclass
class RunningJob:
    """A job that has begun."""

    index: int
    name: str
    server: str
    started: float
    """Epoch seconds."""
    waiting: str = ""
    """What it waits for; empty while it does not."""
    node: str = ""
    """The node that runs."""
    fraction: float | None = None
    """How far that node is, 0–1."""
    tries: int = 1


@dataclass
class Memory:
    """A server's memory when it was last looked at."""

    used: float
    limit: float
    fraction: float
    level: str
    tiers: Mapping[str, float] = field(default_factory=lambda: dict(TIERS))


class BatchState:
    """Folds the events of a batch; events and fields that it does not know change nothing."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.failed = 0
        self.retried = 0
        self.started: float | None = None
        self.now = 0.0
        self.ended = False
        self.running: dict[int, RunningJob] = {}
        self.servers: dict[str, str] = {}
        """Server → what was last said of its state, and why."""
        self.troubled: set[str] = set()
        """The servers that are not simply up."""
        self.held: dict[int, str] = {}
        """Jobs that have not begun and wait for more than their turn: index → what for."""
        self.memory: dict[str, Memory] = {}
        self._durations: list[float] = []
        self._lanes = 1

    @property
    def left(self) -> int:
        """Jobs that have neither ended nor begun."""
        return max(0, self.total - self.done - self.failed - len(self.running))

    def eta(self, now: float) -> Eta | None:
        """Return when it will be done, counted from `now` (epoch seconds)."""
        elapsed = [max(0.0, now - job.started) for job in self.running.values()]
        return estimate(self._durations, self.left, elapsed, self._lanes)

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take one event in."""
        at = float(event.get("time") or 0.0)
        if 0.0 < at < self.now - SET_BACK:
            self._set_back(self.now - at)
        self.now = max(self.now, at)
        handle = getattr(self, f"_on_{event.get('event')}", None)
        if handle is not None:
            handle(event)

    def _set_back(self, seconds: float) -> None:
        """The clock was: what has begun has begun so much earlier by it."""
        self.now -= seconds
        self.started = None if self.started is None else self.started - seconds
        for job in self.running.values():
            job.started -= seconds

    def _on_batch_started(self, event: Mapping[str, Any]) -> None:
        self.total = int(event.get("total") or 0)
        self.done = int(event.get("done") or 0)
        self.failed = int(event.get("failed") or 0)
        self.started = self.now
        self._lanes = max(1, len(event.get("servers") or ()))

    def _on_job_started(self, event: Mapping[str, Any]) -> None:
        index = int(event["index"])
        self.held.pop(index, None)
        self.running[index] = RunningJob(index, str(event.get("name", index)), str(event.get("server", "")), self.now)
        self._lanes = max(self._lanes, len(self.running))

    def _on_waiting(self, event: Mapping[str, Any]) -> None:
        job, reason = self._job(event), str(event.get("reason") or "")
        if job is not None:
            job.waiting = reason
        elif reason and "index" in event:
            self.held[int(event["index"])] = reason

    def _on_progress(self, event: Mapping[str, Any]) -> None:
        job = self._job(event)
        if job is not None:
            job.waiting = ""
            job.node = str(event.get("node") or "")
            value, most = event.get("value"), event.get("max")
            job.fraction = min(1.0, float(value) / float(most)) if value is not None and most else None

    def _on_retry(self, event: Mapping[str, Any]) -> None:
        self.retried += 1
        job = self._job(event)
        if job is not None:
            job.tries = int(event.get("attempt") or job.tries + 1)
            job.waiting = f"trying again in {float(event.get('wait') or 0):.0f} s: {event.get('error') or ''}"
            job.node, job.fraction = "", None

    def _on_memory(self, event: Mapping[str, Any]) -> None:
        self.memory[str(event.get("server", ""))] = Memory(
            float(event.get("used") or 0),
            float(event.get("limit") or 0),
            float(event.get("fraction") or 0),
            str(event.get("level") or "normal"),
            event.get("tiers") or TIERS,
        )

    def _on_server(self, event: Mapping[str, Any]) -> None:
        server, state, reason = (str(event.get(key) or "") for key in ("server", "state", "reason"))
        self.servers[server] = f"{state}: {reason}" if reason else state
        (self.troubled.discard if state in UP else self.troubled.add)(server)

    def _on_job_ended(self, event: Mapping[str, Any]) -> None:
        job = self.running.pop(int(event["index"]), None)
        self.held.pop(int(event["index"]), None)
        if event.get("ok"):
            self.done += 1
            seconds = self.now - job.started if job is not None else event.get("seconds")
            if seconds is not None:
                self._durations = [*self._durations[1 - WINDOW :], float(seconds)]
        else:
            self.failed += 1

    def _on_batch_ended(self, event: Mapping[str, Any]) -> None:
        self.ended = True
        self.running.clear()

    def _job(self, event: Mapping[str, Any]) -> RunningJob | None:
        return self.running.get(int(event.get("index", -1)))

"""How far the batch is: what was queued since the queue was last empty."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .brake import JobPeak
from .host import Job, Outcome

NO_PEAK = JobPeak()

QUIET = 60.0
"""Seconds after the last job of a batch during which a new one still belongs to it."""


@dataclass
class _Batch:
    done: int = 0
    failed: int = 0
    retried: int = 0
    started: float = 0.0
    started_at: float | None = None
    """Seconds since the epoch; None before the first batch."""
    last_end: float = 0.0
    """When a job last ended, started or waited."""
    durations: deque[float] = field(default_factory=lambda: deque(maxlen=50))


class BatchProgress:
    """Counts jobs from start to end. Any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._batch = _Batch()
        self._running: dict[str, float] = {}
        self._done = self._failed = 0
        self._last: dict[str, Any] | None = None

    @property
    def totals(self) -> tuple[int, int]:
        """Jobs that ended well, and others, since the start."""
        return self._done, self._failed

    def waiting(self) -> None:
        """A job waits at the gate: however long that takes, the batch goes on."""
        now = self._clock()
        with self._lock:
            self._go_on(now)

    def started(self, job: Job) -> None:
        """A job has left the queue."""
        now = self._clock()
        with self._lock:
            self._go_on(now)
            self._running[job.id] = now

    @property
    def retried(self) -> int:
        """Times that a job of this batch was tried again."""
        return self._batch.retried

    @property
    def started_at(self) -> float | None:
        """When this batch began, in seconds since the epoch; None before the first."""
        return self._batch.started_at

    @property
    def counts(self) -> dict[str, int]:
        """Jobs of this batch that are done, and failed, and how often one was tried again."""
        with self._lock:
            return {"done": self._batch.done, "failed": self._batch.failed, "retried": self._batch.retried}

    def put_back(self, job_id: str) -> None:
        """A running job waits again, for another try."""
        with self._lock:
            self._running.pop(job_id, None)
            self._batch.retried += 1
            self._batch.last_end = self._clock()

    def _go_on(self, now: float) -> None:
        if not self._running and now - self._batch.last_end > QUIET:
            self._batch = _Batch(started=now, started_at=self._wall())
        self._batch.last_end = now

    def ended(self, outcome: Outcome, peak: JobPeak = NO_PEAK) -> None:
        """A job is over; `peak` is the highest memory of it."""
        now = self._clock()
        with self._lock:
            began = self._running.pop(outcome.job_id, None)
            if outcome.ok:
                self._batch.done += 1
                self._done += 1
                if began is not None:
                    self._batch.durations.append(now - began)
            else:
                self._batch.failed += 1
                self._failed += 1
            self._batch.last_end = now
            self._last = {
                "id": outcome.job_id,
                "ok": outcome.ok,
                "seconds": None if began is None else now - began,
                "peak_ram": peak.ram or None,
                "peak_vram": {f"vram{device}": size for device, size in peak.vram.items()},
            }

    def as_dict(self, pending: int) -> dict[str, Any]:
        """The form of `status`, given how many jobs are pending; `eta_seconds` is None before the first one ended."""
        now = self._clock()
        with self._lock:
            batch, running = self._batch, list(self._running.values())
            eta = None
            if batch.durations and (pending or running):
                each = statistics.fmean(batch.durations)
                eta = pending * each + sum(max(0.0, each - (now - began)) for began in running)
            return {
                "done": batch.done,
                "total": batch.done + batch.failed + len(running) + pending,
                "failed": batch.failed,
                "retried": batch.retried,
                "eta_seconds": eta,
                "started_at": batch.started_at,
                "last_job": self._last,
            }

"""How far the batch is: what was queued since the queue was last empty."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from .brake import JobPeak
from .host import Job, Outcome
from .prediction.eta import Pace, remaining

NO_PEAK = JobPeak()

QUIET = 60.0
"""Seconds after the last job of a batch during which a new one still belongs to it."""


class _Batch:
    def __init__(self, started: float = 0.0, started_at: float | None = None) -> None:
        self.done = 0
        self.failed = 0
        self.retried = 0
        self.started = started
        self.started_at = started_at
        """Seconds since the epoch; None before the first batch."""
        self.last_end = 0.0
        """When a job last ended, started or waited."""
        self.durations: deque[float] = deque(maxlen=50)


TOLD_APART = 500
"""Pending jobs whose times are asked for one by one; more are taken to be like them."""


class BatchProgress:
    """Counts jobs from start to end. Any thread.

    Args:
        seconds_of: a queued or running job's time as (mean, low, high); None where nothing is known of its like.
        pace: how fast the machine is now.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        seconds_of: Callable[[str], tuple[float, float, float] | None] = lambda job_id: None,
        wall: Callable[[], float] = time.time,
        pace: Callable[[], Pace] = Pace,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._seconds_of = seconds_of
        self._pace = pace
        self._pending: dict[str, None] = {}
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

    def queued(self, job_id: str) -> None:
        """A job was queued."""
        with self._lock:
            self._pending[job_id] = None

    def removed(self, ids: Sequence[str]) -> None:
        """Jobs were taken out of the queue."""
        with self._lock:
            for job_id in ids:
                self._pending.pop(job_id, None)

    def started(self, job: Job) -> None:
        """A job has left the queue."""
        now = self._clock()
        with self._lock:
            self._pending.pop(job.id, None)
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
    def began(self) -> float:
        """The same on the clock, which nobody sets back."""
        return self._batch.started

    @property
    def counts(self) -> dict[str, int]:
        """Jobs of this batch that are done, and failed, and how often one was tried again."""
        with self._lock:
            return {"done": self._batch.done, "failed": self._batch.failed, "retried": self._batch.retried}

    def put_back(self, job_id: str) -> None:
        """A running job waits again, for another try."""
        with self._lock:
            self._running.pop(job_id, None)
            self._pending[job_id] = None
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
        """The form of `status`, given how many jobs are pending.

        `eta_seconds`, `eta_low` and `eta_high` are None where neither a job of the batch has ended nor anything is
        known of its like; the last two are meant to hold four of five ends.
        """
        now = self._clock()
        with self._lock:
            batch, running, known = self._batch, dict(self._running), list(self._pending)
            last, durations = self._last, list(batch.durations)
        eta = low = high = None
        times = self._times(known[:TOLD_APART], pending, running, durations, now) if pending or running else None
        if times is not None:
            left = remaining(times, self._pace())
            eta, low, high = left.seconds, left.low, left.high
        return {
            "done": batch.done,
            "total": batch.done + batch.failed + len(running) + pending,
            "failed": batch.failed,
            "retried": batch.retried,
            "eta_seconds": eta,
            "eta_low": low,
            "eta_high": high,
            "started_at": batch.started_at,
            "last_job": last,
        }

    def _times(
        self, known: list[str], pending: int, running: dict[str, float], durations: list[float], now: float
    ) -> list[tuple[float, float, float]] | None:
        """Of each job still to end, (mean, low, high); None where that cannot be told."""
        usual = _usual(durations)
        waiting = [self._seconds_of(job_id) or usual for job_id in known[:pending]]
        under_way = [(self._seconds_of(job_id) or usual, now - began) for job_id, began in running.items()]
        times = [one for one in waiting if one is not None]
        if len(times) < len(waiting) or any(one is None for one, _ in under_way):
            return None
        if len(times) < pending:  # restored ones, say, were never told of
            other = usual or (tuple(sum(t[i] for t in times) / len(times) for i in range(3)) if times else None)
            if other is None:
                return None
            times += [(other[0], other[1], other[2])] * (pending - len(times))
        for one, had in under_way:
            if one is not None:
                times.append((max(0.0, one[0] - had), max(0.0, one[1] - had), max(0.0, one[2] - had)))
        return times


def _usual(durations: list[float]) -> tuple[float, float, float] | None:
    """A job of which nothing is known but its batch: the mean, and the tenth and ninetieth of a hundred."""
    if not durations:
        return None
    ordered, last = sorted(durations), len(durations) - 1
    mean = sum(durations) / len(durations)
    if last < 4:  # too few to tell: a half more or less
        return mean, min(ordered[0], mean / 1.5), max(ordered[-1], mean * 1.5)
    return mean, min(mean, ordered[round(0.1 * last)]), max(mean, ordered[round(0.9 * last)])

"""What happens to the jobs of the batch, told as it happens to who watches, and in a few figures when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..monitor.readings import Sample
from ..reclaim.action import Action
from .host import Job, Outcome, Queued
from .job_story import JobStories
from .progress import BatchProgress
from .stop_after import StopAfterCurrent

SETTLED = 2.0
"""Seconds with an empty queue after which a batch is called over: a client that queues one job at a time needs a moment
between two."""

Tell = Callable[[str, Sequence[str], "dict[str, Any] | None"], None]
"""Takes the kind of an event, the ids that it is about, and with `batch_ended` the summary."""


class _Tally:
    def __init__(self, started_at: float | None = None, began: float = 0.0) -> None:
        self.started_at = started_at
        self.began = self.ended = began
        self.peak_ram = 0
        self.actions = 0
        self.freed = 0
        self.open = False
        """Whether a job has ended since the last summary."""


class BatchEvents:
    """An `Observer` of the gate. Any thread.

    Args:
        pending: how many prompts wait.
        peak: bytes resident at the highest point of the job that ended last.
        tell: called on the thread that it happens on; it must be quick where nobody watches.
        clock: as the progress has it.
    """

    def __init__(
        self,
        stories: JobStories,
        stop: StopAfterCurrent,
        progress: BatchProgress,
        pending: Callable[[], int],
        peak: Callable[[], int],
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stories = stories
        self._stop = stop
        self._progress = progress
        self._pending = pending
        self._peak = peak
        self._tell = tell
        self._clock = clock
        self._tally = _Tally()
        self.summary: dict[str, Any] | None = None
        """Of the last batch that is over: counts, seconds, bytes."""

    def accepted(self, prompt: Queued) -> None:
        """A prompt is queued; the status tells how many wait, so nothing is sent."""
        self._stories.accepted(prompt)

    def removed(self, ids: Sequence[str]) -> None:
        """Prompts were taken out of the queue."""
        for job_id in ids:
            self._stories.removed(job_id)
        self._tell("deleted", ids, None)

    def at_gate(self, job_id: str | None) -> None:
        """The gate is about to look at this job, or has looked."""
        if job_id is not None:
            self._stop.about_to_start(job_id)
        self._stories.at_gate(job_id)

    def started(self, job: Job) -> None:
        """It runs."""
        self._stop.started(job.id)
        self._stories.started(job)
        self._tell("started", [job.id], None)

    def put_back(self, job_id: str) -> None:
        """It waits for another try."""
        self._stories.put_back(job_id)
        self._tell("retried", [job_id], None)

    def ended(self, outcome: Outcome) -> None:
        """It is over."""
        tally = self._of_this_batch()
        tally.peak_ram = max(tally.peak_ram, self._peak())
        tally.ended = self._clock()
        tally.open = True
        self._stories.ended(outcome)
        self._stop.ended(outcome.job_id)
        self._tell("ended", [outcome.job_id], None)

    def nothing_waits(self) -> None:
        """The queue is empty."""
        self._stop.nothing_waits()

    def on_action(self, action: Action) -> None:
        """Something was freed."""
        self._stories.on_action(action)
        if not action.dry_run:
            tally = self._of_this_batch()
            tally.actions += 1
            tally.freed += action.freed

    def on_sample(self, sample: Sample) -> None:
        """Look at the level, and whether the batch is over."""
        self._stories.on_sample(sample)
        tally = self._tally
        if not tally.open or self._clock() - tally.ended < SETTLED:
            return
        if not self._stories.running() and not self._pending():
            tally.open = False
            self.summary = self._summary(tally)
            self._tell("batch_ended", [], self.summary)

    def _of_this_batch(self) -> _Tally:
        if self._progress.started_at != self._tally.started_at:
            self._tally = _Tally(self._progress.started_at, self._progress.began)
        return self._tally

    def _summary(self, tally: _Tally) -> dict[str, Any]:
        return {
            **self._progress.counts,
            "seconds": tally.ended - tally.began,
            "peak_ram": tally.peak_ram or None,
            "freed": tally.freed,
            "actions": tally.actions,
        }

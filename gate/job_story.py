"""What was seen of jobs while they ran: the level that was crossed, what was done for them, when they began and ended.

In memory, for this process; the journal takes over what is to outlive it when a job ends.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from ..monitor.history import SPAN
from ..monitor.readings import Level, Sample
from ..reclaim.action import Action
from .host import Job, Outcome, Queued
from .title import title_of

REMEMBERED = 1000
"""Jobs that wait or run of which something is known; the oldest are forgotten."""

MARKS = 1000
"""Jobs that ended of which start and end are kept, for at most as long as the history."""


class JobStory:
    """One job; times in seconds since the epoch."""

    def __init__(self, id: str, title: str = "") -> None:  # noqa: A002 - as a prompt's id is called everywhere
        self.id = id
        self.title = title
        self.started: float | None = None
        """When its running attempt began; None while it waits."""
        self.ended: float | None = None
        self.ok: bool | None = None
        self.level = Level.NORMAL
        """The highest of RAM and VRAM in a sample while it ran."""
        self.actions = 0
        """Times that something was freed while it ran, or while it was at the gate."""
        self.freed = 0
        """Bytes that this came to."""

    @property
    def columns(self) -> tuple[str, int, int]:
        """What the journal keeps of it: level, actions, bytes freed."""
        return self.level.label, self.actions, self.freed


class JobStories:
    """Any thread."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._open: OrderedDict[str, JobStory] = OrderedDict()
        self._over: deque[JobStory] = deque(maxlen=MARKS)
        self._running: list[str] = []
        self._at_gate: str | None = None

    def of(self, job_id: str) -> JobStory:
        """Of one that waits or runs; an empty one where nothing is known."""
        with self._lock:
            return self._open.get(job_id) or JobStory(job_id)

    def running(self) -> list[JobStory]:
        """Of those that run."""
        with self._lock:
            return [self._open[job_id] for job_id in self._running if job_id in self._open]

    def accepted(self, prompt: Queued) -> None:
        """A prompt is queued."""
        with self._lock:
            self._get(prompt.id).title = prompt.title

    def at_gate(self, job_id: str | None) -> None:
        """From now on the gate looks at this job; None: it has looked."""
        self._at_gate = job_id

    def started(self, job: Job) -> None:
        """It runs."""
        with self._lock:
            story = self._get(job.id)
            story.title = story.title or title_of(job.graph, job.outputs)
            story.started = self._wall()
            self._running.append(job.id)

    def put_back(self, job_id: str) -> None:
        """It waits again."""
        with self._lock:
            self._get(job_id).started = None
            self._stop(job_id)

    def ended(self, outcome: Outcome) -> None:
        """It is over."""
        with self._lock:
            self._stop(outcome.job_id)
            story = self._open.pop(outcome.job_id, None)
            if story is not None and story.started is not None:
                story.ended, story.ok = self._wall(), outcome.ok
                self._over.append(story)

    def removed(self, job_id: str) -> None:
        """It was taken out of the queue."""
        with self._lock:
            if job_id not in self._running:
                self._open.pop(job_id, None)

    def on_sample(self, sample: Sample) -> None:
        """Take note of the level."""
        if not self._running:
            return
        found = [level for name, level in sample.levels.items() if name == "ram" or name.startswith("vram")]
        highest = max(found, default=Level.NORMAL)
        for story in self.running():
            story.level = max(story.level, highest)

    def on_action(self, action: Action) -> None:
        """Something was freed: for what runs, else for what is at the gate."""
        if action.dry_run:
            return
        with self._lock:
            concerned = self._running or ([self._at_gate] if self._at_gate else [])
            for job_id in concerned:
                story = self._get(job_id)
                story.actions += 1
                story.freed += action.freed

    def marks(self, since: float) -> list[dict[str, Any]]:
        """Those that ran later than `since` and within the history's span, in the order of their ends."""
        since = max(since, self._wall() - SPAN)
        with self._lock:
            over = [story for story in self._over if (story.ended or 0.0) > since]
        return [
            {"id": s.id, "title": s.title, "start": s.started, "end": s.ended, "ok": s.ok}
            for s in (*over, *self.running())
        ]

    def _get(self, job_id: str) -> JobStory:
        story = self._open.get(job_id)
        if story is None:
            story = self._open[job_id] = JobStory(job_id)
            while len(self._open) > REMEMBERED:
                oldest = next((i for i in self._open if i not in self._running), None)
                if oldest is None:
                    break
                del self._open[oldest]
        return story

    def _stop(self, job_id: str) -> None:
        if job_id in self._running:
            self._running.remove(job_id)

"""The gate with somebody watching: what the host tells goes to the gate first, then to who watches the batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .host import Job, JobListener, NodeStart, Outcome, Queued, Verdict

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Hears of jobs. What it raises is logged once and changes nothing."""

    def accepted(self, prompt: Queued) -> None:
        """Queued. Any thread."""
        ...

    def removed(self, ids: Sequence[str]) -> None:
        """Taken out of the queue. Any thread."""
        ...

    def at_gate(self, job_id: str | None) -> None:
        """The gate is about to look at this job; None: it has looked."""
        ...

    def started(self, job: Job) -> None:
        """Runs."""
        ...

    def put_back(self, job_id: str) -> None:
        """Waits for another try."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """Is over."""
        ...

    def nothing_waits(self) -> None:
        """The queue is empty."""
        ...


class ObservedGate:
    """A `JobListener` around another."""

    def __init__(self, gate: JobListener, observer: Observer) -> None:
        self._gate = gate
        self._observer = observer
        self._told = False

    def accepted(self, prompt: Queued) -> None:
        """A prompt is about to be queued."""
        try:
            self._gate.accepted(prompt)
        finally:
            self._tell(lambda: self._observer.accepted(prompt))

    def removed(self, ids: Sequence[str]) -> None:
        """Prompts were taken out of the queue."""
        try:
            self._gate.removed(ids)
        finally:
            self._tell(lambda: self._observer.removed(ids))

    def may_start(self, job: Job) -> Verdict:
        """Asked before a prompt leaves the queue."""
        self._tell(lambda: self._observer.at_gate(job.id))
        try:
            return self._gate.may_start(job)
        finally:
            self._tell(lambda: self._observer.at_gate(None))

    def nothing_waits(self) -> None:
        """The queue is empty."""
        try:
            self._gate.nothing_waits()
        finally:
            self._tell(self._observer.nothing_waits)

    def started(self, job: Job) -> None:
        """The prompt has left the queue."""
        try:
            self._gate.started(job)
        finally:
            self._tell(lambda: self._observer.started(job))

    def before_node(self, node: NodeStart) -> None:
        """A node is about to run."""
        self._gate.before_node(node)

    def retry(self, outcome: Outcome) -> bool:
        """Whether a prompt that failed is tried again."""
        again = self._gate.retry(outcome)
        if again:
            self._tell(lambda: self._observer.put_back(outcome.job_id))
        return again

    def changed_graph(self, job_id: str) -> Mapping[str, Any] | None:
        """What a prompt that goes back in line is to run with."""
        return self._gate.changed_graph(job_id)

    def put_back(self, job_id: str) -> None:
        """The prompt waits again."""
        try:
            self._gate.put_back(job_id)
        finally:
            self._tell(lambda: self._observer.put_back(job_id))

    def ended(self, outcome: Outcome) -> None:
        """The prompt is over."""
        try:
            self._gate.ended(outcome)
        finally:
            self._tell(lambda: self._observer.ended(outcome))

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # the boundary to the worker thread: the gate has decided, a watcher must not undo it
            if not self._told:
                self._told = True
                log.exception("the panel is not told of a job; prompts run on (told once)")

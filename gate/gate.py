"""The gate as a host sees it: one listener in front of journal, admission, brake and progress."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from ..reclaim.ladder import WORTHWHILE
from .admission import Admission
from .brake import Brake, JobPeak
from .changed_conditions import ChangedConditions, Graph
from .host import Job, NodeStart, Outcome, Queued, Verdict
from .prediction.history import PRESSED
from .progress import BatchProgress
from .retry import MEMORY_KINDS, ErrorKind, Retries, classify
from .stuck import StuckWatch

if TYPE_CHECKING:
    from .prediction.prediction import Prediction

log = logging.getLogger(__name__)

NOTE_EVERY = 0.1
"""Seconds between two notes of what the process uses, between nodes: what a node of less can add is soon seen, and a
look costs as much as all else before a node."""


WORTH_TELLING = 128 * 1024**2
"""Bytes from which a prompt's need is told beside its peak."""


class Record(Protocol):
    """What the gate writes into the journal."""

    def accepted(self, prompt: Queued) -> None:
        """Queued."""
        ...

    def removed(self, ids: Sequence[str]) -> None:
        """Taken out of the queue."""
        ...

    def started(self, job: Job) -> None:
        """Runs."""
        ...

    def before_node(self, node: NodeStart) -> None:
        """Is at this node."""
        ...

    def memory(self, ram: int, vram: dict[str, int], *, catch_up: bool = True) -> None:
        """Takes so much."""
        ...

    def put_back(self, job_id: str, outcome: Outcome | None = None, changed: str = "") -> None:
        """Waits again, `changed` as told."""
        ...

    def ended(
        self,
        outcome: Outcome,
        peak_ram: int = 0,
        peak_vram: dict[str, int] | None = None,
        predicted: int | None = None,
    ) -> None:
        """Is over."""
        ...


class Gate:
    """Implements `JobListener`; `accepted` and `removed` on any thread, the rest on the worker thread.

    Args:
        journal: None where none is kept.
        retries: None where nothing is tried again.
        changed: None where nothing is tried under changed conditions.
        stuck: None where nobody tells a prompt that is stuck.
        prediction: None where nothing is learned.
    """

    def __init__(
        self,
        admission: Admission,
        brake: Brake,
        progress: BatchProgress,
        journal: Record | None = None,
        retries: Retries | None = None,
        changed: ChangedConditions | None = None,
        stuck: StuckWatch | None = None,
        prediction: Prediction | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.admission = admission
        self.brake = brake
        self.progress = progress
        self._journal = journal
        self._retries = retries
        self._changed = changed
        self._stuck = stuck
        self._clock = clock
        self._noted = -NOTE_EVERY
        self._prediction = prediction

    def again(self, job_id: str) -> None:
        """A job was interrupted because it filled the memory, and will start again. Any thread."""
        self.admission.clear_before(job_id)
        self.brake.careful_with(job_id)

    def accepted(self, prompt: Queued) -> None:
        """A prompt is about to be queued."""
        if self._journal is not None:
            self._journal.accepted(prompt)
        self.about_to_wait(prompt)

    def about_to_wait(self, prompt: Queued) -> None:
        """The same of one that the journal has already."""
        self.progress.queued(prompt.id)
        if self._prediction is not None:
            self._prediction.queued(prompt)

    def removed(self, ids: Sequence[str]) -> None:
        """Prompts were taken out of the queue."""
        if self._journal is not None:
            self._journal.removed(ids)
        self.progress.removed(ids)
        if self._prediction is not None:
            self._prediction.removed(ids)

    def may_start(self, job: Job) -> Verdict:
        """Asked before a prompt leaves the queue."""
        self.progress.waiting()
        held = None if self._retries is None else self._retries.hold(job.id)
        if held is not None:
            return self.admission.hold(job, held.reason, held.since, held.until, held.cause)
        return self.admission.may_start(job)

    def nothing_waits(self) -> None:
        """The queue is empty."""
        self.admission.nothing_waits()

    def started(self, job: Job) -> None:
        """The prompt has left the queue."""
        if self._journal is not None:
            self._journal.started(job)
        if self._changed is not None:
            self._changed.started(job)
        if self._stuck is not None:
            self._stuck.started(job)
        self.brake.job_started()
        self.progress.started(job)
        if self._prediction is not None:
            self._prediction.started(job)

    def before_node(self, node: NodeStart) -> None:
        """A node is about to run."""
        if self._stuck is not None:
            self._stuck.before_node(node)
        if self._journal is not None:
            self._journal.before_node(node)
        self.brake.before_node(node)
        now = self._clock()
        if self._journal is not None and now - self._noted >= NOTE_EVERY:
            self._noted = now
            peak = self.brake.job_peak.including(self.brake.resident, {})
            self._journal.memory(peak.ram, _by_name(peak), catch_up=False)

    def retry(self, outcome: Outcome) -> bool:
        """Whether a prompt that failed is tried again; where it lacked memory, all is freed here and now."""
        if self._retries is None or not self._retries.batch_allows(self.progress.retried):
            return False
        kind = classify(outcome.error_type, outcome.error)
        wait = self._retries.grant(outcome, kind)
        if wait is not None:
            self.brake.job_ended()
        how = None if wait is None else f"in {wait:.0f} s" if wait else "now"
        if kind in MEMORY_KINDS and (how is None or not self._made_room(outcome, kind)):
            how = self._other_conditions(outcome)
        if how is None:
            return False
        log.warning(
            "prompt %s failed at node %s (%s: %s); it is tried again %s, in its place",
            *(outcome.job_id, outcome.node_id, outcome.error_type, outcome.error.strip()[:200], how),
        )
        self._back(outcome.job_id, outcome)
        return True

    def changed_graph(self, job_id: str) -> Graph | None:
        """What a prompt that goes back in line is to run with; None for its own graph."""
        return None if self._changed is None else self._changed.graph(job_id)

    def put_back(self, job_id: str) -> None:
        """The prompt was interrupted because it filled the memory, and waits again."""
        self.brake.job_ended()
        self._back(job_id, None)

    def ended(self, outcome: Outcome) -> None:
        """The prompt is over."""
        self.brake.job_ended()
        peak = self.brake.job_peak
        if self._journal is not None:
            # What lay there without it is the same in both, so that they differ by as much as the prediction was off.
            need = None if self._prediction is None else self._prediction.expected(outcome.job_id)
            without = peak.ram - self.brake.meter.ram
            told = None if need is None or need < WORTH_TELLING else max(0, without) + need
            self._journal.ended(outcome, peak.ram, _by_name(peak), told)
        if self._retries is not None:
            self._retries.over(outcome.job_id)
        if self._changed is not None:
            self._changed.over(outcome.job_id)
        if self._stuck is not None:
            self._stuck.ended(outcome)
        if self._prediction is not None:
            self._prediction.ended(outcome, self.brake)
        self.progress.ended(outcome, peak)

    def _back(self, job_id: str, outcome: Outcome | None) -> None:
        if self._stuck is not None:
            self._stuck.put_back()
        if self._journal is not None:
            self._journal.put_back(job_id, outcome, "" if self._changed is None else self._changed.told(job_id))
        self.progress.put_back(job_id)
        if self._prediction is not None:
            lacked = outcome or Outcome(job_id, False, PRESSED, "interrupted because it filled the memory")
            self._prediction.ended(lacked, self.brake, again=True)

    def _other_conditions(self, outcome: Outcome) -> str | None:
        """Change what the user has allowed to be changed; in words, None where there is nothing of the kind."""
        change = "" if self._changed is None else self._changed.change(outcome)
        if not change:
            return None
        self.brake.job_ended()
        self.admission.free_all(f"before prompt {outcome.job_id} runs with {change}", self.brake.job_peak.vram)
        self.again(outcome.job_id)
        return f"now, with {change}"

    def _made_room(self, outcome: Outcome, kind: ErrorKind) -> bool:
        """Free everything; whether that changes anything for a second try.

        At an error of a device the host has unloaded all its models before it told us, and what that freed cannot be
        measured any more: it counts as something. Otherwise, what failed with all memory free would fail again.
        """
        freed = self.admission.free_all(
            f"prompt {outcome.job_id} ran out of memory at node {outcome.node_id}", self.brake.job_peak.vram
        )
        if freed < WORTHWHILE and kind is not ErrorKind.DEVICE_MEMORY:
            log.info(
                "prompt %s ran out of memory and nothing could be freed: the same would fail again", outcome.job_id
            )
            return False
        self.again(outcome.job_id)
        return True


def _by_name(peak: JobPeak) -> dict[str, int]:
    return {f"vram{device}": size for device, size in peak.vram.items()}

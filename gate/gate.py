"""The gate as a host sees it: one listener in front of admission, brake and progress."""

from __future__ import annotations

from .admission import Admission
from .brake import Brake
from .host import Job, NodeStart, Outcome, Verdict
from .progress import BatchProgress


class Gate:
    """Implements `JobListener`; on the worker thread."""

    def __init__(self, admission: Admission, brake: Brake, progress: BatchProgress) -> None:
        self.admission = admission
        self.brake = brake
        self.progress = progress

    def again(self, job_id: str) -> None:
        """A job was interrupted because it filled the memory, and will start again. Any thread."""
        self.admission.clear_before(job_id)
        self.brake.careful_with(job_id)

    def may_start(self, job: Job) -> Verdict:
        """Asked before a prompt leaves the queue."""
        self.progress.waiting()
        return self.admission.may_start(job)

    def nothing_waits(self) -> None:
        """The queue is empty."""
        self.admission.nothing_waits()

    def started(self, job: Job) -> None:
        """The prompt has left the queue."""
        self.brake.job_started()
        self.progress.started(job)

    def before_node(self, node: NodeStart) -> None:
        """A node is about to run."""
        self.brake.before_node(node)

    def ended(self, outcome: Outcome) -> None:
        """The prompt is over."""
        self.brake.job_ended()
        self.progress.ended(outcome, self.brake.job_peak)

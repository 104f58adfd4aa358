"""The batch as the routes ask for it: what became of each job, what can be restored, what is set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .batch_view import BatchView
from .journal.journal import Journal
from .restore import Restore
from .retry_failed import RetryFailed

SHOWN = 100
"""Jobs in quarantine, and left from an earlier process, that are listed at a time."""


class Batch:
    """In front of journal, restore and retry. Any thread but the event loop.

    Args:
        stop: pauses the gate after the current job.
        summary: of the last batch that is over, or None.
    """

    def __init__(
        self,
        journal: Journal,
        restore: Restore,
        retry: RetryFailed,
        view: BatchView,
        stop: Callable[[], None],
        summary: Callable[[], dict[str, Any] | None],
    ) -> None:
        self._journal = journal
        self._restore = restore
        self._retry = retry
        self._view = view
        self._stop = stop
        self._summary = summary

    def jobs(self, limit: int, before: int | None) -> dict[str, Any]:
        """A page of jobs, newest first; `next` is the `before` of the page behind it, None at the end.

        Beside it `left` (what would be restored, in its order), `quarantined`, what runs, and how the batch stands.
        """
        rows = self._journal.rows
        found = rows.jobs(limit, before)
        return {
            "jobs": found,
            "next": found[-1]["seq"] if len(found) == limit else None,
            "quarantined": rows.set_aside(SHOWN),
            "left": rows.left(SHOWN),
            "restorable": rows.restorable,
            "retryable": self._retry.possible,
            "problem": self._journal.problem,
            "batch": self._view.as_dict(),
            "running": self._view.running(),
            "summary": self._summary(),
        }

    def restore(self, ids: Sequence[str] | None, discard: bool) -> dict[str, Any]:
        """Put back, or forget, what an earlier process left; all of it, or these."""
        return self._restore.discard(ids) if discard else self._restore.restore(ids)

    def release(self, job_id: str) -> dict[str, Any] | None:
        """Let a job that was set aside run again; None where there is no such job."""
        return self._restore.release(job_id)

    def retry(self, ids: Sequence[str] | None) -> dict[str, Any]:
        """Queue failed prompts again; these, or all that nobody cancelled."""
        return self._retry.retry(ids)

    def stop(self) -> dict[str, Any]:
        """Pause after the current job; tells how the batch stands."""
        self._stop()
        return self._view.as_dict()

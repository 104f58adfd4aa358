"""The batch as the routes ask for it: what became of each job, what can be restored, what is set aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .journal import Journal
from .restore import Restore

SHOWN = 100
"""Jobs in quarantine that are listed at a time."""


class Batch:
    """In front of journal and restore. Any thread but the event loop."""

    def __init__(self, journal: Journal, restore: Restore) -> None:
        self._journal = journal
        self._restore = restore

    def counts(self) -> dict[str, int]:
        """For `status`; costs nothing."""
        return {"restorable": self._journal.rows.restorable, "quarantined": self._journal.rows.quarantined}

    def jobs(self, limit: int, before: int | None) -> dict[str, Any]:
        """A page of jobs, newest first; `next` is the `before` of the page behind it, None at the end."""
        found = self._journal.rows.jobs(limit, before)
        return {
            "jobs": found,
            "next": found[-1]["seq"] if len(found) == limit else None,
            "quarantined": self._journal.rows.set_aside(SHOWN),
            **{"restorable": self._journal.rows.restorable, "problem": self._journal.problem},
        }

    def restore(self, ids: Sequence[str] | None, discard: bool) -> dict[str, Any]:
        """Put back, or forget, what an earlier process left; all of it, or these."""
        return self._restore.discard(ids) if discard else self._restore.restore(ids)

    def release(self, job_id: str) -> dict[str, Any] | None:
        """Let a job that was set aside run again; None where there is no such job."""
        return self._restore.release(job_id)

"""Whether a stock server has room for the next job. One with Resource Gate reckons by itself."""

from __future__ import annotations

from collections import deque

from ..joblist.job import Job
from ..needs.learned_need import LearnedNeed
from .health import Health
from .journal_report import TIERS

REMEMBERED = 16
"""Jobs that went well of which it is kept how full the server was before."""


class Headroom:
    """Learns by how much jobs make one server grow above what it has in use when they begin. One thread.

    Not above its rest: ComfyUI keeps models and outputs for the next prompt of the same kind, which grows it by less.

    Args:
        needs: what is known of jobs.
    """

    def __init__(self, needs: LearnedNeed | None = None) -> None:
        self._needs = needs or LearnedNeed()
        self._went_well: deque[tuple[tuple[str, int], int]] = deque(maxlen=REMEMBERED)
        """Workflow and bytes of arithmetic, and the bytes in use before."""

    def lacks(self, job: Job, found: Health) -> bool:
        """Whether the job would probably take the server's memory above its critical level, as things are."""
        if found.gated or found.used is None or not found.limit:
            return False
        kind, amount = self._needs.size(job)
        if any(k == kind and amount <= a and found.used <= before for (k, a), before in self._went_well):
            return False  # to free for it would unload what it uses, each time anew
        need = self._needs(job)
        return need is not None and found.used + need > found.limit * found.tiers.get("critical", TIERS["critical"])

    def learn(self, job: Job, before: Health | None, peak: int | None) -> None:
        """Take note of a job that went well: the most bytes in use while it ran, and how it was before."""
        if before is not None and not before.gated and before.used is not None and peak:
            self._needs.learn(job, peak - before.used)
            self._went_well.append((self._needs.size(job), before.used))

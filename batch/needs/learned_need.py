"""What jobs will need above a server's rest: arithmetic at first, corrected by what jobs of their workflow took."""

from __future__ import annotations

import statistics
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from ..joblist.job import Job
from .graph_need import Frames, GraphNeed, graph_need, probe_video, signature

REMEMBERED = 32
"""Jobs of a workflow whose worst counts: enough for the sizes of a table's rows to come round."""
MARGIN = 1.1
"""On what was seen, where no arithmetic explains it (reference, prediction: max × 1.1 was short in 2 % of cases)."""
SPREAD = 1.5
"""Times the smallest job of a workflow that its largest must be for their slope to say anything."""
STEEPEST = 4.0
"""Bytes that a workflow may take for each of arithmetic: converting a whole batch at once took three (reference)."""
COLD_MARGIN = 1.2
"""On arithmetic alone, while no job of the workflow has ended (reference, prediction: cold start)."""
KEPT = 1024
"""Jobs whose arithmetic is kept: more than wait for a machine at a time."""
NOISE = 64 * 1024**2
"""Bytes of arithmetic below which pictures do not explain what a job takes; what its like took does."""


Need = Callable[[Job], "int | None"]
"""Tells the bytes of RAM that a job will take above what its server holds at rest; None where nothing tells."""


Seen = Sequence[tuple[int, int]]
"""Bytes of arithmetic and bytes that the server grew by, of jobs of one workflow."""


def expected(total: int, seen: Seen) -> int:
    """Bytes for `total` of arithmetic: linear in it, with the worst residual on top (reference, prediction).

    With jobs of one size only the slope is 1: what they took beside their pictures, libraries say, does not grow.
    """
    sizes = [size for size, _ in seen]
    slope = 1.0
    if max(sizes) >= SPREAD * min(sizes):
        slope = min(STEEPEST, max(0.0, statistics.linear_regression(sizes, [grew for _, grew in seen]).slope))
    return int(slope * total + max(grew - slope * size for size, grew in seen))


class LearnedNeed:
    """A `Need` that learns. Not for several threads at once.

    Args:
        probe: what is in a video file that an input names.
    """

    def __init__(self, probe: Callable[[str], Frames | None] = probe_video) -> None:
        self._probe = probe
        self._seen: dict[str, deque[tuple[int, int]]] = {}
        self._known: OrderedDict[str, tuple[str, GraphNeed]] = OrderedDict()

    def __call__(self, job: Job) -> int | None:
        """Bytes above the rest; None where neither the graph nor an earlier job tells."""
        kind, cold = self._look(job)
        seen = self._seen.get(kind)
        if cold.total >= NOISE:
            need = expected(cold.total, seen) if seen else int(cold.total * COLD_MARGIN)
            return max(need, cold.largest)
        if alike := [grew for size, grew in seen or () if size < NOISE]:
            return int(max(alike) * MARGIN)
        if seen:  # larger ones only: what they took beside their pictures
            return max(expected(cold.total, seen), cold.largest)
        return int(cold.total * COLD_MARGIN) or None

    def least(self, job: Job) -> int:
        """Bytes without which the job cannot run whatever is given back meanwhile; 0 where nothing tells."""
        return self._look(job)[1].largest

    def size(self, job: Job) -> tuple[str, int]:
        """Workflow and bytes of arithmetic: a machine that has done one can do a smaller one of the same workflow."""
        kind, cold = self._look(job)
        return kind, cold.total

    def from_files(self, job: Job) -> bool:
        """Whether part of what is known of it comes from the headers of its files."""
        return self._look(job)[1].from_files

    def learn(self, job: Job, grew: int) -> None:
        """Take note that a job made its server grow by so many bytes above its rest."""
        kind, cold = self._look(job)
        self._seen.setdefault(kind, deque(maxlen=REMEMBERED)).append((cold.total, max(0, grew)))

    def _look(self, job: Job) -> tuple[str, GraphNeed]:
        known = self._known.get(job.key)
        if known is None:
            known = signature(job.graph), graph_need(job.graph, self._probe)
            self._known[job.key] = known
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return known

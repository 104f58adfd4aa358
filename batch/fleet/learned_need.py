"""What jobs will need above a server's rest: arithmetic at first, corrected by what jobs of their workflow took."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from ..joblist.job import Job
from .graph_need import Frames, GraphNeed, graph_need, probe_video, signature

REMEMBERED = 32
"""Jobs of a workflow whose worst counts: enough for the sizes of a table's rows to come round."""
MARGIN = 1.1
"""On what a workflow was seen to take (reference, prediction: max × 1.1 was short in 2 % of cases)."""
COLD_MARGIN = 1.2
"""On arithmetic alone, while no job of the workflow has ended (reference, prediction: cold start)."""
KEPT = 1024
"""Jobs whose arithmetic is kept: more than wait for a machine at a time."""
NOISE = 64 * 1024**2
"""Bytes of arithmetic below which pictures do not explain what a job takes; then bytes are remembered, no factor."""


Need = Callable[[Job], "int | None"]
"""Tells the bytes of RAM that a job will take above what its server holds at rest; None where nothing tells."""


@dataclass
class _Seen:
    factors: deque[float]
    bytes: deque[int]


class LearnedNeed:
    """A `Need` that learns. Not for several threads at once.

    Args:
        probe: what is in a video file that an input names.
    """

    def __init__(self, probe: Callable[[str], Frames | None] = probe_video) -> None:
        self._probe = probe
        self._seen: dict[str, _Seen] = {}
        self._known: OrderedDict[str, tuple[str, GraphNeed]] = OrderedDict()

    def __call__(self, job: Job) -> int | None:
        """Bytes above the rest; None where neither the graph nor an earlier job tells."""
        kind, cold = self._look(job)
        seen = self._seen.get(kind)
        if cold.total >= NOISE:
            factor = max(seen.factors) * MARGIN if seen and seen.factors else COLD_MARGIN
            return max(int(cold.total * factor), cold.largest)
        if seen and seen.bytes:
            return int(max(seen.bytes) * MARGIN)
        return int(cold.total * COLD_MARGIN) or None

    def least(self, job: Job) -> int:
        """Bytes without which the job cannot run whatever is given back meanwhile; 0 where nothing tells."""
        return self._look(job)[1].largest

    def size(self, job: Job) -> tuple[str, int]:
        """Workflow and bytes of arithmetic: a machine that has done one can do a smaller one of the same workflow."""
        kind, cold = self._look(job)
        return kind, cold.total

    def learn(self, job: Job, grew: int) -> None:
        """Take note that a job made its server grow by so many bytes above its rest."""
        kind, cold = self._look(job)
        seen = self._seen.setdefault(kind, _Seen(deque(maxlen=REMEMBERED), deque(maxlen=REMEMBERED)))
        if cold.total >= NOISE:
            seen.factors.append(max(0, grew) / cold.total)
        else:
            seen.bytes.append(max(0, grew))

    def _look(self, job: Job) -> tuple[str, GraphNeed]:
        known = self._known.get(job.key)
        if known is None:
            known = signature(job.graph), graph_need(job.graph, self._probe)
            self._known[job.key] = known
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return known

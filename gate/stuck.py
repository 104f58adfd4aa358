"""Tells a prompt that is stuck: no progress for far longer than any node of the same workflow ever took.

What counts as the same workflow: the same nodes, wired alike, with the same numbers but for seeds. Another size or
another number of frames makes another workflow, so that the first run of something larger is never held against the
times of something smaller; of a workflow that has never come to its end nothing is said at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..reclaim.action import Cause
from .host import Job, NodeStart, Outcome

log = logging.getLogger(__name__)

FLOOR = 1200.0
"""Seconds without progress below which nothing is called stuck, however short a workflow's nodes were: a download or a
cold disk may take minutes, and so may a user whom a node asks something."""

FACTOR = 5.0
"""Times the longest that a node of this workflow ever took."""

QUIET = 30.0
"""Seconds that a node runs before anybody asks how far it is."""

LONGEST_GAP = 30.0
"""Seconds between two looks that count at the most: a machine that slept has not been stuck."""

AT_A_TIME = 5
"""Ended prompts that are learned from at one look; of a flood of short ones the last do."""

REMEMBERED = 500
"""Workflows in memory."""

WAITING = frozenset({"ResourceGate"})
"""Classes that wait because they are told to."""


class Times(Protocol):
    """Where the longest times are kept; `journal_times.WorkflowTimes` is one."""

    def longest(self, signature: str) -> tuple[float, str] | None:
        """Seconds, and id and class of the node that took them; None for a workflow that never came to its end."""
        ...

    def learn(self, times: Mapping[str, tuple[float, str]]) -> None:
        """Keep these where they are longer than what is kept."""
        ...


def signature(graph: Mapping[str, Any]) -> str:
    """The same for the same workflow: ids, classes, links and numbers count, texts and seeds do not."""
    nodes = []
    for node_id, node in sorted(graph.items()):
        inputs = node.get("inputs", {}) if isinstance(node, Mapping) else {}
        kept = {k: v for k, v in inputs.items() if not isinstance(v, str) and "seed" not in k}
        nodes.append((node_id, node.get("class_type") if isinstance(node, Mapping) else "", kept))
    return hashlib.sha1(json.dumps(nodes, sort_keys=True, default=str).encode(), usedforsecurity=False).hexdigest()


class StuckWatch:
    """Learns on the worker thread and at each `look`; `problem` on any thread.

    Args:
        times: what was learned, in this process or an earlier one.
        progress: the share of the running node's own progress bar; asked only where nothing else moves.
    """

    def __init__(
        self, times: Times, progress: Callable[[], float | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._times = times
        self._progress = progress
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._ended: deque[tuple[Mapping[str, Any], float, str]] = deque(maxlen=AT_A_TIME)
        self._job: Job | None = None
        self._node: tuple[str, str] | None = None
        """Id and class."""
        self._node_since = 0.0
        self._longest = (0.0, "")
        self._still = 0.0
        self._looked = clock()
        self._seen: object = None
        self.problem: str | None = None
        """What is stuck, where, and how long; None where nothing is."""
        self.cause: Cause | None = None
        """`problem` in parts, seconds, for who says it in another language."""

    # -- what the gate tells, on the worker thread

    def started(self, job: Job) -> None:
        """A prompt runs."""
        with self._lock:
            self._job, self._node, self._longest = job, None, (0.0, "")

    def before_node(self, node: NodeStart) -> None:
        """A node is about to run."""
        with self._lock:
            self._node_over(self._clock())
            # Without the inputs: who keeps them beyond this moment keeps tensors alive.
            self._node = node.node_id, node.class_type

    def ended(self, outcome: Outcome) -> None:
        """The prompt is over; what went well is learned from at the next look."""
        with self._lock:
            self._node_over(self._clock())
            job, self._job, self._node = self._job, None, None
            if outcome.ok and job is not None and job.id == outcome.job_id:
                self._ended.append((job.graph, *self._longest))

    def put_back(self) -> None:
        """The prompt has stopped, and waits again."""
        with self._lock:
            self._job = self._node = None

    # -- now and then, on another thread

    def look(self) -> None:
        """Learn from what ended, and decide."""
        self._learn()
        now = self._clock()
        seconds, self._looked = min(now - self._looked, LONGEST_GAP), now
        with self._lock:
            job, node, since = self._job, self._node, self._node_since
        if job is None or node is None or node[1] in WAITING or now - since < QUIET:
            self._still, self._seen = 0.0, None
            self._say(None)
            return
        seen = (job.id, node[0], since, self._progress())
        self._still = self._still + seconds if seen == self._seen else 0.0
        self._seen = seen
        known = self._longest_of(signature(job.graph)) if self._still >= FLOOR else None
        if known is None or self._still < max(FLOOR, FACTOR * known[0]):
            self._say(None)
            return
        self._say(
            f"prompt {job.id} is stuck: node {node[0]} {node[1]} has shown no progress for "
            f"{self._still:.0f} s, while the longest that a node of this workflow ever took was {known[0]:.0f} s "
            f"({known[1] or 'no node'}). Interrupt it, or start the server again, as `resource-gate run` does",
            {"code": "stuck", "node": f"{node[0]} {node[1]}", "still": self._still, "longest": known[0]},
        )

    def _node_over(self, now: float) -> None:
        if self._node is not None:
            took = now - self._node_since
            if took > self._longest[0]:
                self._longest = (took, f"{self._node[0]} {self._node[1]}")
        self._node_since = now

    def _learn(self) -> None:
        with self._lock:
            ended = list(self._ended)
            self._ended.clear()
        new: dict[str, tuple[float, str]] = {}
        for graph, seconds, node in ended:
            name = signature(graph)
            known = self._longest_of(name)
            if known is None or seconds > known[0]:
                new[name] = (seconds, node)
                self._remember(name, (seconds, node))
        if new:
            self._times.learn(new)

    def _longest_of(self, name: str) -> tuple[float, str] | None:
        known = self._known.get(name) or self._times.longest(name)
        if known is not None:
            self._remember(name, known)
        return known

    def _remember(self, name: str, known: tuple[float, str]) -> None:
        self._known[name] = known
        self._known.move_to_end(name)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _say(self, problem: str | None, cause: Cause | None = None) -> None:
        if problem is not None and self.problem is None:
            log.error("%s", problem)
        elif problem is None and self.problem is not None:
            log.warning("what was stuck goes on, or has ended")
        self.problem, self.cause = problem, cause

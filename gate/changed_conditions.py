"""Ways to run a prompt that ran out of memory once more, under conditions that its user has allowed to change.

The graph that is run then is a copy; the journal, and with it what comes back after a crash, keeps the user's own.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..settings import Gate as GateSettings
from ..settings import Settings
from .host import Job, Outcome

log = logging.getLogger(__name__)

Graph = Mapping[str, Any]
"""In API format: node id → `{"class_type": …, "inputs": {…}}`."""

REMEMBERED = 100
"""Prompts whose changes are remembered; more never wait for another try at a time."""

TILES: dict[str, int] = {"tile_size": 256, "overlap": 64, "temporal_size": 16, "temporal_overlap": 4}
"""Pixels and frames. When a plain VAE node runs out of memory, ComfyUI's own `VAE.decode` has tried tiles of 512 pixels
already (256 for videos, but then all frames at once): these are below both."""

TILED = {"VAEDecode": "VAEDecodeTiled", "VAEEncode": "VAEEncodeTiled"}
"""ComfyUI's plain VAE nodes, for pictures and videos, and the tiled ones, which take and give the same."""

SHRINKING = "ResourceGateBatchSize"
"""Class of the node that answers with a smaller batch after a prompt of its ran out of memory."""


def tiled_vae(graph: Graph, node_id: str) -> Graph | None:
    """The graph with the tiled class in place of the plain VAE node that failed."""
    node = graph.get(node_id)
    tiled = TILED.get(node.get("class_type", "")) if isinstance(node, Mapping) else None
    if node is None or tiled is None:
        return None
    return {**graph, node_id: {**node, "class_type": tiled, "inputs": {**node.get("inputs", {}), **TILES}}}


def smaller_batch(graph: Graph, node_id: str) -> Graph | None:
    """The graph as it is, where a node in it answers smaller by itself."""
    shrinks = any(isinstance(node, Mapping) and node.get("class_type") == SHRINKING for node in graph.values())
    return graph if shrinks else None


class Change(NamedTuple):
    """One way.

    Attributes:
        told: what is changed, in words that follow "with".
        apply: graph and the id of the node that failed → the graph to run; None where it does not apply.
        allowed: whether the user has allowed it.
        times: how often it may be tried for one prompt.
    """

    told: str
    apply: Callable[[Graph, str], Graph | None]
    allowed: Callable[[GateSettings], bool]
    times: int = 1


CHANGES = (
    # Who wires that node has allowed it; it halves, so that three tries lead to an eighth.
    Change("a smaller batch", smaller_batch, lambda gate: True, times=3),
    Change("tiled VAE in place of plain", tiled_vae, lambda gate: gate.oom_tiled_vae),
)
"""In the order in which they are tried: first what changes the result least."""


class ChangedConditions:
    """What was changed for which prompt. On the worker thread.

    Args:
        settings: those in force.
        changes: the ways, in their order.
    """

    def __init__(self, settings: Callable[[], Settings], changes: tuple[Change, ...] = CHANGES) -> None:
        self._settings = settings
        self._changes = changes
        self._running: Job | None = None
        self._graphs: OrderedDict[str, Graph] = OrderedDict()
        self._tried: dict[str, list[Change]] = {}

    def started(self, job: Job) -> None:
        """This one runs now; with the graph that `graph` told last, if it told one."""
        self._running = job

    def change(self, outcome: Outcome) -> str:
        """Change something more for the prompt that failed; in words, empty where nothing is left to change."""
        job = self._running
        if job is None or job.id != outcome.job_id or not self._settings().gate.retries:
            return ""
        tried = self._tried.setdefault(job.id, [])
        for change in self._changes:
            if tried.count(change) >= change.times or not change.allowed(self._settings().gate):
                continue
            graph = change.apply(self._graphs.get(job.id, job.graph), outcome.node_id)
            if graph is None:
                continue
            tried.append(change)
            self._graphs[job.id] = graph
            while len(self._graphs) > REMEMBERED:
                self._tried.pop(self._graphs.popitem(last=False)[0], None)
            return self.told(job.id)
        return ""

    def told(self, job_id: str) -> str:
        """All that was changed for a prompt, in words; empty where nothing was."""
        return ", ".join(dict.fromkeys(change.told for change in self._tried.get(job_id, ())))

    def graph(self, job_id: str) -> Graph | None:
        """What a prompt is to run with; None where it is the user's own graph."""
        return self._graphs.get(job_id)

    def over(self, job_id: str) -> None:
        """The prompt has come to its end."""
        self._graphs.pop(job_id, None)
        self._tried.pop(job_id, None)

"""What one job took of its own: its peak above what was there without it, though what was there shrinks meanwhile."""

from __future__ import annotations

from .prediction.history import KEPT_NODES

NOISE = 16 * 1024**2
"""Bytes of growth below which a node is not told of."""


class JobMeter:
    """Fed at the boundaries between nodes with bytes in use: anonymous ones of the process, less those that lie free
    inside its heap. A job that finds room there takes as much as one that does not. On the worker thread.

    When a job starts, outputs of earlier ones may still lie in the cache, and they go while it runs. So its peak minus
    the use at its start tells too little, and its peak minus the use of an empty process too much. What counts is the
    rise above the lowest point so far, and there what its own nodes have made by then is not counted as base.
    """

    def __init__(self) -> None:
        self.floor: int | None = None
        """The fewest bytes ever seen between two nodes: the process without outputs."""
        self._base = self._lowest = self._made = 0
        self.ram = self.lean = 0
        """Bytes at the peak above the base: as it was, and had all been dropped that no later node needed."""
        self.nodes: dict[str, int] = {}
        """Bytes by which node kinds grew the process at their peak."""

    def start(self, used: int) -> None:
        """A job begins with so many bytes in use."""
        self.floor = used if self.floor is None else min(self.floor, used)
        self._base = self._lowest = used
        self._made = self.ram = self.lean = 0
        self.nodes = {}

    def boundary(self, used: int) -> None:
        """Between two nodes."""
        if used < self._lowest:
            self._lowest = used
            self.floor = min(used, used if self.floor is None else self.floor)
            self._base = min(self._base, max(self.floor, used - self._made))

    def node(self, kind: str, before: int, peak: int, arithmetic: int, done: int = 0) -> None:
        """A node has run.

        Args:
            before, peak: bytes in use before it and at its highest.
            arithmetic: bytes of the tensor that it was likely to make.
            done: bytes of outputs that lay there when it began and that no later node needed.
        """
        self._made += arithmetic
        self.ram = max(self.ram, peak - self._base)
        self.lean = max(self.lean, peak - self._base - done)
        grew = peak - before
        if grew >= NOISE and grew > self.nodes.get(kind, 0):
            self.nodes[kind] = grew

    def peak(self, peak: int) -> None:
        """The highest use since a node was last measured."""
        self.ram = max(self.ram, peak - self._base)
        self.lean = max(self.lean, self.ram if not self.lean else 0)

    def end(self, used: int) -> None:
        """The job is over."""
        self.ram, self.lean = max(0, self.ram), max(0, self.lean)
        self.boundary(used)
        largest = sorted(self.nodes.items(), key=lambda one: -one[1])
        self.nodes = dict(largest[:KEPT_NODES])

"""What kinds of nodes were seen to take, whatever workflow they stood in: for workflows that were never seen whole."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from .features import CHANNELS, FLOAT, Features
from .history import KEPT_NODES, OK, Run

LEAST = 16 * 1024**2
"""Bytes of pictures below which what a node took is its own fixed cost or noise of the heap, not a multiple; growth of
less is not told of a run."""

REMEMBERED = 8
"""Runs of a kind whose middle counts; older ones are forgotten."""

BELIED = 2.0
"""One's own eyes are believed against a file: a kind that took so many times more or less than the file's runs of it
say is learned anew."""

FILES = 256
"""Model files whose size is kept."""

UNSEEN = 2.5
"""Sizes of its pictures that a node of a kind never seen takes: of core nodes 0–4 were measured."""


class KindsNeed(NamedTuple):
    """Bytes that node kinds take together, of those what is only guessed, and whether all weights are known."""

    ram: int
    guessed: int
    weights_known: bool


class KindNeeds:
    """Learns from runs of all families, what a pixel takes and what loading does. The caller locks.

    Args:
        model_bytes: size of a model file by its name in a graph; 0 where that is not known.
    """

    def __init__(self, model_bytes: Callable[[str], int] = lambda name: 0) -> None:
        self._model_bytes = model_bytes
        self._sizes: dict[str, int] = {}
        self._factors: dict[str, deque[float]] = {}
        self._usual: dict[str, float] = {}
        """The middle of each of those: asked for far more often than it changes."""
        self._hearsay: set[str] = set()
        """Kinds of which only runs from a file tell."""
        self._loads: dict[str, deque[int]] = {}

    def learn(self, run: Run, *, hearsay: bool = False) -> None:
        """Take in a run; it teaches where it went well.

        Args:
            hearsay: it was read from a file, which may hold anything.
        """
        if run.outcome != OK:
            return
        for kind, pixels in run.pixels.items():
            size = pixels * CHANNELS * FLOAT
            # Of a run of many kinds those that grew it least are not told of: they are not known to take nothing.
            if size >= LEAST and (kind in run.nodes or len(run.nodes) < KEPT_NODES):
                self._take(kind, min(run.nodes.get(kind, 0), run.ram) / size, hearsay)
        for kind, grew in run.nodes.items():
            if run.pixels.get(kind) == 0:
                self._loads.setdefault(kind, deque(maxlen=REMEMBERED)).append(min(grew, run.ram))

    def _take(self, kind: str, factor: float, hearsay: bool) -> None:
        known = self._factors.setdefault(kind, deque(maxlen=REMEMBERED))
        if hearsay:
            self._hearsay.add(kind)
        elif kind in self._hearsay:
            self._hearsay.discard(kind)
            less, more = sorted((factor, self._usual.get(kind, factor)))
            if more > BELIED * less:
                known.clear()
        known.append(factor)
        self._usual[kind] = statistics.median(known)

    def need(self, features: Features, cold: bool) -> KindsNeed:
        """What the nodes of a prompt take: each one its own peak, on top of what those before it keep.

        ComfyUI's caches keep the outputs of a prompt until it is over; a node keeps its output, of what it took.
        """
        weights, known = self._weights(features) if cold else (0, True)
        kept, peak, guessed = float(weights), float(weights), 0.0
        for step in features.steps:
            size = step.pixels * CHANNELS * FLOAT
            usual = self._usual.get(step.kind)
            if usual is not None:
                takes = usual * size
            else:
                takes = UNSEEN * size
                guessed += takes
            peak = max(peak, kept + takes)
            kept += min(size, takes)
        return KindsNeed(int(peak), int(guessed), known)

    def _weights(self, features: Features) -> tuple[int, bool]:
        """Bytes that loading its models takes, and whether that is known of all of them."""
        sizes = [self._size_of(name) for name in features.models]
        kinds = {step.kind for step in features.steps if step.loads and not step.pixels}
        seen = [max(self._loads[kind]) for kind in kinds if kind in self._loads]
        if sizes and all(sizes):
            return sum(sizes), True
        return sum(seen), len(seen) == len(kinds)

    def _size_of(self, name: str) -> int:
        size = self._sizes.get(name, 0)
        if not size and (size := self._model_bytes(name)):  # one that is not there may be so the next time
            if len(self._sizes) >= FILES:
                self._sizes.clear()
            self._sizes[name] = size
        return size

    def has_loaded(self, features: Features) -> bool:
        """Whether all kinds of its nodes that load models were seen to do so: libraries come with the first time."""
        return all(step.kind in self._loads for step in features.steps if step.loads and not step.pixels)

"""The largest number of items that fits now: by prediction, learning on from one run to the next."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..monitor.level import entry_of
from ..monitor.readings import GpuReading, Level, MemoryReading
from ..reclaim.action import human
from ..reclaim.host import CachedOutput
from ..settings import Settings
from .prediction.history import DIED, MEMORY, OK, PRESSED, Run

if TYPE_CHECKING:
    from .prediction.lesson import RunningJob
    from .prediction.prediction import Prediction
    from .prediction.sizes import Graph

log = logging.getLogger(__name__)

GIB = 1024**3

STICKY = 0.02
"""A larger size must be larger by this share before the last one is left: each change makes all that follows anew."""

RECENT = 20
"""Runs after which a size that was too large is tried again: what it failed for may be gone."""

LESS = {MEMORY: 0.5, DIED: 0.5, PRESSED: 0.9}
"""What is left of a size that was too large: half, where it failed; one that was interrupted first was only near."""

GROWTH = (1.0, 2.0, 1.5)
"""Times the largest size that went well to which the next may grow, by how many sizes have been tried."""

UPWARD = 8
"""After a failure the size goes up by an eighth of the one that failed, a run."""

BELOW = 0.95
"""Times a size that was too large up to which the next ones may grow: what a run takes differs by more from run to run
than the frames between."""

REMEMBERED = 200


USUALLY = 0.5
"""Share of runs that shall stay below the emergency level …"""

NEARLY_ALWAYS = 0.9
"""… and of those that shall stay below the limit. Of the runs beyond it few go so far that the process dies of it: the
brake frees before each node, and the prompt is interrupted first. Higher shares found sizes that were a tenth smaller
in the first runs, and no fewer deaths (simulated with spreads of 0–4 %)."""


class _Room(NamedTuple):
    """Bytes: of RAM up to the emergency level and up to the limit, of VRAM; None where there is no card."""

    ram: int
    ram_limit: int
    vram: int | None


class Choice(NamedTuple):
    """A number of items, and why it is that one."""

    size: int
    reason: str


class Wish(NamedTuple):
    """What is set on the node.

    Attributes:
        wanted: items at most.
        step: only multiples of it.
        plus_one: one more than a multiple: video models ask for 4n+1 frames.
        keep_free: bytes of RAM, and of VRAM, to leave.
    """

    wanted: int
    step: int = 1
    plus_one: bool = False
    keep_free: int = 0

    def rung(self, index: int) -> int:
        """The sizes it allows, in order; at 0 the smallest."""
        return index * self.step + 1 if self.plus_one else (index + 1) * self.step

    @property
    def rungs(self) -> int:
        """How many sizes it allows; one at least, though that may be more than is wanted."""
        return max(1, (self.wanted - 1) // self.step + 1 if self.plus_one else self.wanted // self.step)

    def below(self, size: float) -> int:
        """The largest index whose size is no more than so many; 0 where there is none."""
        index = int((size - 1) // self.step) if self.plus_one else int(size // self.step) - 1
        return max(0, min(self.rungs - 1, index))


def bare_process(floor: int | None, own: int, slack: int | None, outputs: Sequence[CachedOutput]) -> int | None:
    """Bytes of the process had all outputs been dropped; None where nothing is known of it.

    The fewest that it ever had are from before it loaded the libraries that a first run loads: where more lies there
    that is neither an output nor what the heap holds back, that counts.

    Args:
        floor: the fewest bytes seen between two nodes.
        own, slack: bytes of it now, and what of them the heap holds back from the system; None: nobody can tell.
        outputs: what lies in the cache.
    """
    if floor is None or slack is None or any(output.models for output in outputs):  # a prompt's need holds its models
        return floor
    return max(floor, own - slack - sum(output.ram for output in outputs))


class BatchSizes:
    """Chooses for all nodes of the kind. On the worker thread.

    Args:
        read: the tightest RAM limit and what is used of it, fresh.
        anonymous: bytes of this process now.
        floor: bytes of it without outputs, as `bare_process` tells; what is above goes when it must.
        gpus: device memory.
    """

    def __init__(
        self,
        prediction: Prediction,
        read: Callable[[], MemoryReading],
        settings: Callable[[], Settings],
        *,
        anonymous: Callable[[], int],
        floor: Callable[[], int | None],
        gpus: Callable[[], list[GpuReading]] = list,
    ) -> None:
        self._prediction = prediction
        self._read = read
        self._settings = settings
        self._anonymous = anonymous
        self._floor = floor
        self._gpus = gpus
        self._given: OrderedDict[tuple[str, Wish, str], Choice] = OrderedDict()
        """By node, wish and whole graph: what an unchanged workflow is given again."""
        self._now: tuple[RunningJob | None, dict[tuple[str, Wish], Choice]] = (None, {})

    def choose(self, node_id: str, wish: Wish) -> Choice:
        """The same as long as one prompt runs, and for an unchanged workflow whose last run went well."""
        running = self._prediction.running
        if running is None:
            return Choice(wish.rung(wish.rungs - 1), "nothing is known here: as many as wanted")
        job, features = running.job, running.features
        if self._now[0] is not running:
            self._now = (running, {})
        now = self._now[1]
        if (node_id, wish) not in now:
            runs = [r for r in self._prediction.file.of(features.family) if node_id in r.sizes_chosen]
            graph = repr(job.graph).encode("utf-8", "replace")
            mark = (node_id, wish, hashlib.blake2b(graph, digest_size=16).hexdigest())
            choice = self._given.get(mark)
            if choice is None or not runs or runs[-1].outcome != OK:
                choice = self._new(node_id, wish, job.graph, job.outputs, runs)
            self._given[mark] = choice
            while len(self._given) > REMEMBERED:
                self._given.popitem(last=False)
            now[node_id, wish] = choice
            log.info("Adaptive Batch Size (node %s): %d of %d, %s", node_id, choice.size, wish.wanted, choice.reason)
        choice = now[node_id, wish]
        self._prediction.chosen(node_id, choice.size)
        return choice

    def _new(self, node_id: str, wish: Wish, graph: Graph, outputs: Any, runs: list[Run]) -> Choice:
        from .prediction.features import features_of  # loaded by the first prompt, not by every start

        room = self._room(wish)
        predictor = self._prediction.predictor

        def need(index: int, share: float) -> tuple[int, int]:
            features = features_of(graph, outputs, {node_id: wish.rung(index)})
            # As if models had to be loaded: the room is counted from the process without them.
            cold = predictor.need_of(features, cold=True, share=share)
            return cold.lean, predictor.need_of(features, share=share).vram

        def fits(index: int) -> bool:
            usual, worst = need(index, USUALLY), need(index, NEARLY_ALWAYS)
            return all(a <= b for a, b in ((usual[0], room.ram), (worst[0], room.ram_limit))) and (
                room.vram is None or worst[1] <= room.vram
            )

        low, high = 0, wish.rungs - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        index, why = self._learned(node_id, wish, low, runs)
        size = wish.rung(index)
        if not why:
            last = next((r.sizes_chosen[node_id] for r in reversed(runs) if r.outcome == OK), None)
            if last is not None and last <= size < last * (1 + STICKY) and wish.rung(wish.below(last)) == last:
                size = last
        ram, vram = need(wish.below(size), USUALLY)
        reason = f"{size} need about {human(ram)} of {human(max(0, room.ram))} RAM"
        if room.vram is not None and vram:
            reason += f" and {human(vram)} of {human(max(0, room.vram))} VRAM"
        if low == 0 and not fits(0):
            reason = (
                f"even {size} need about {human(ram)} and {human(max(0, room.ram))} RAM are there: the fewest allowed"
            )
        learned = f"learned from {len(runs)} runs" if runs else "by tensor arithmetic, the first time"
        return Choice(size, ", ".join(filter(None, (reason, why, learned))))

    def _learned(self, node_id: str, wish: Wish, index: int, runs: list[Run]) -> tuple[int, str]:
        """The index that past runs allow: half after a failure, then up a little with each run, and below what failed.

        Lessons of success first: where a run ended well, as many items fit.
        """
        recent = runs[-RECENT:]
        failed = [i for i, r in enumerate(recent) if r.outcome in LESS]
        if not failed:
            # A line through runs of one size says little of sizes far beyond.
            tried = {r.sizes_chosen[node_id] for r in recent if r.outcome == OK}
            if not tried or len(tried) >= len(GROWTH):
                return index, ""
            return min(index, wish.below(max(tried) * GROWTH[len(tried)])), ""
        at = failed[-1]
        too_many = recent[at].sizes_chosen[node_id]
        since = [r.sizes_chosen[node_id] for r in recent[at + 1 :] if r.outcome == OK]
        best = max((size for size in since), default=0)
        if best >= too_many:
            return index, ""
        if not since:
            part = LESS[recent[at].outcome]
            told = "half of that" if part == 0.5 else "a little less"
            return min(index, wish.below(too_many * part)), f"{too_many} were too many last time: {told}"
        onward = best + max(wish.step, too_many // UPWARD)
        below = min(onward, too_many - wish.step, int(too_many * BELOW))
        return min(index, wish.below(max(below, best))), f"{too_many} were too many, {best} went well"

    def _room(self, wish: Wish) -> _Room:
        """Bytes for the whole prompt, above the process without outputs."""
        tiers = self._settings().ram
        reading, own = self._read(), self._anonymous()
        floor = self._floor()
        base = reading.used - max(0, own - floor) if floor is not None else reading.used
        most = reading.limit - wish.keep_free
        line = min(most, entry_of(Level.EMERGENCY, reading.limit, tiers))
        cards = [
            entry_of(Level.EMERGENCY, g.total, self._settings().vram) - max(0, g.used - (g.freeable or 0))
            for g in self._gpus()
            if g.total and g.in_use
        ]
        return _Room(int(line - base), int(most - base), int(min(cards) - wish.keep_free) if cards else None)

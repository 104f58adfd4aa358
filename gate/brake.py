"""The brake: before each node of a running prompt, make room for what the node will need."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from ..monitor.level import entry_of, level_of
from ..monitor.readings import Level, MemoryReading
from ..reclaim.action import Cause, human
from ..reclaim.host import Place
from ..reclaim.ladder import Ladder, Shortage
from ..settings import Settings
from .host import NodeStart
from .job_meter import NOISE, JobMeter
from .need import NodeNeeds, arithmetic_need


class Resident(Protocol):
    """Bytes of this process."""

    @property
    def rss(self) -> int:
        """Resident, mapped files included."""
        ...

    @property
    def peak(self) -> int:
        """The highest resident since it was last counted anew."""
        ...

    @property
    def anonymous(self) -> int:
        """Resident without them."""
        ...


class Peak(Protocol):
    """The highest memory use between two moments."""

    def start(self, now: Resident | None = None) -> None:
        """Begin anew; `now` as read a moment ago."""
        ...

    @property
    def resident(self) -> Resident | None:
        """As the last `stop` read it; None where it did not."""
        ...

    def stop(self) -> int:
        """Bytes at the highest point since `start`; 0 where it cannot be told."""
        ...

    @property
    def vram(self) -> Mapping[int, int]:
        """Bytes of tensors on devices at the highest point before the last `stop`, by device."""
        ...

    @property
    def weights(self) -> Mapping[int, int]:
        """Bytes of weights beside them at the last `stop`, which give way to tensors, by device."""
        ...


HEAVY = 128 * 1024**2
"""Bytes from which a job is worth a look into its outputs."""

MOMENT = 0.01
"""Seconds for which a look at the process between two nodes counts: nothing of a prompt runs there."""

REMEMBERED_CAREFUL = 100
"""Jobs that the brake is careful with; the oldest are forgotten."""


class JobPeak(NamedTuple):
    """The highest memory of one job: bytes resident, and bytes on each device by its index."""

    ram: int = 0
    vram: Mapping[int, int] = MappingProxyType({})

    def including(self, ram: int, vram: Mapping[int, int]) -> JobPeak:
        """This and a node's."""
        if not vram and ram <= self.ram:
            return self
        devices = self.vram.keys() | vram.keys()
        return JobPeak(max(self.ram, ram), {d: max(self.vram.get(d, 0), vram.get(d, 0)) for d in devices})


class _Running:
    def __init__(self, kind: str, arithmetic: int, base: Resident, held: int, done: int) -> None:
        self.kind = kind
        self.arithmetic = arithmetic
        self.base = base
        self.held = held
        """Of its anonymous bytes, those in use."""
        self.done = done
        """Bytes of outputs that no later node needs, as it begins."""


class Brake:
    """Looks at the reading first, at what the node will need next, and acts only where the two do not fit.

    Args:
        read: the tightest RAM limit and what is used of it, fresh.
        resident: bytes of this process now; its `rss` is what `peak` tells the highest of.
        done: bytes of cached outputs of the running prompt that no later node needs. On the worker, between nodes.
        glance: as `read`, or as it was a moment ago where memory cannot be short with so many bytes more by now.
        roomy: whether it surely is not short with so many bytes more; reads nothing.
        free_in_heap: of so many anonymous bytes of this process, those that lie free inside its heap; and whether that
            is worth a millisecond.
    """

    def __init__(
        self,
        ladder: Ladder,
        read: Callable[[], MemoryReading],
        settings: Callable[[], Settings],
        *,
        peak: Peak,
        resident: Callable[[], Resident],
        done: Callable[[], int] = lambda: 0,
        glance: Callable[[int], MemoryReading] | None = None,
        roomy: Callable[[int], bool] = lambda ahead: False,
        free_in_heap: Callable[[int, bool], int] = lambda anonymous, worth: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ladder = ladder
        self._free_in_heap = free_in_heap
        self._weighty = True
        """Whether the last job took so much that what the next one takes is worth a look."""
        self._held_at: tuple[Resident | None, int] = (None, 0)
        """The process as its heap was looked at last, and what lay free there."""
        self._glance = glance or (lambda ahead: read())
        self._roomy = roomy
        self._clock = clock
        self._looked: tuple[float, int, Resident] | None = None
        self._settings = settings
        self._peak = peak
        self._resident = resident
        self._done = done
        self._needs = NodeNeeds()
        self._running: _Running | None = None
        self.job_peak = JobPeak()
        """Of the running job so far, or of the one that ended last."""
        self.meter = JobMeter()
        """What the running job, or the one that ended last, took of RAM above its base."""
        self.ran: set[str] = set()
        """Ids of the nodes that ran in it."""
        self._tensors_before: Mapping[int, int] = {}
        self._tensors: dict[int, int] = {}
        self._passed_over = False
        """Whether nodes ran that nobody has read the peak of: for the job they count all the same."""
        self._counting = False
        """Whether the peak has been counted anew in this job."""
        self._careful: deque[str] = deque(maxlen=REMEMBERED_CAREFUL)

    def careful_with(self, job_id: str) -> None:
        """Before each node of this job, let go of all that no later node needs. Any thread.

        For a job that was interrupted because it filled the memory: what its node takes is not known to the end.
        """
        self._careful.append(job_id)

    @property
    def resident(self) -> int:
        """Bytes resident now."""
        return self._resident().rss

    def job_started(self) -> None:
        """A job begins; its peak is counted anew."""
        self._running = None
        self.job_peak = JobPeak()
        self.ran = set()
        self.meter.start(self._held(self._between()))
        self._passed_over = self._counting = False
        if self._peak.vram:  # there are devices: what is in use on them now is what a peak of no work tells
            self._peak.start(self._between())
            self._peak.stop()
        self._tensors_before = dict(self._peak.vram)
        self._tensors = {}

    @property
    def job_vram(self) -> int:
        """Bytes of all tensors at the job's highest point, on the device with the most; 0 where it added none.

        What lay there before counts: a model that an earlier job loaded is needed no less. Weights that give way to
        tensors (ComfyUI's dynamic VRAM) do not.
        """
        before = self._tensors_before
        return max((size for device, size in self._tensors.items() if size > before.get(device, 0)), default=0)

    def before_node(self, node: NodeStart) -> None:
        """Make room, if there is too little. On the worker thread, between nodes."""
        self.node_ended()
        self.ran.add(node.node_id)
        settings = self._settings()
        arithmetic = arithmetic_need(node.inputs)
        if node.job_id in self._careful:
            why = f"before node {node.node_id} ({node.class_type}) of a prompt that filled the memory before"
            self._ladder.climb(Shortage("ram", Level.EMERGENCY, why), Place.BETWEEN_NODES)
        elif settings.gate.brake and settings.reclaim.enabled:
            self._make_room(node, self._needs.expect(node.class_type, arithmetic), settings)
        if not self._needs.worth_measuring(node.class_type, arithmetic):
            self._pass_over()
        else:
            self._read_passed_over()
            self._weighty = self._weighty or arithmetic >= NOISE
            base = self._between()
            held = self._held(base)
            self.meter.boundary(held)
            # Looking into the outputs costs 0.1 ms: nothing to a node that makes hundreds of megabytes.
            done = self._done() if max(arithmetic, self.meter.ram) >= HEAVY else 0
            self._running = _Running(node.class_type, arithmetic, base, held, done)
            self._counting = True
            self._peak.start(base)
        self._looked = None

    def job_ended(self) -> None:
        """The job is over."""
        self.node_ended()
        self._read_passed_over()
        now = self._between()
        self.meter.end(self._held(now))
        self._weighty = self.meter.ram >= NOISE
        self.job_peak = self.job_peak.including(now.rss, {})

    def _pass_over(self) -> None:
        self._passed_over = True
        if not self._counting:
            self._counting = True
            now = self._between()
            self.meter.boundary(self._held(now))
            self._peak.start(now)

    def _read_passed_over(self) -> None:
        if not self._passed_over:
            return
        self._passed_over = False
        peak = self._stop_peak()
        now = self._between()
        self.job_peak = self.job_peak.including(peak, self._on_devices())
        if peak:
            self.meter.peak(self._held_at_peak(peak - (now.rss - now.anonymous), now))

    def node_ended(self) -> None:
        """Learn from the node that ran last."""
        if self._running is None:
            return
        ran, self._running = self._running, None
        peak = self._stop_peak()
        self.job_peak = self.job_peak.including(peak, self._on_devices())
        if peak:
            now = self._between()
            # The peak counts mapped files, a model's above all; the kernel drops those pages before it kills.
            mapped = now.rss - now.anonymous
            self._needs.learn(ran.kind, ran.arithmetic, peak - mapped - ran.base.anonymous)
            self.meter.node(ran.kind, ran.held, self._held_at_peak(peak - mapped, now), ran.arithmetic, ran.done)

    def _held(self, now: Resident) -> int:
        """Anonymous bytes in use at this moment, between two nodes: what lies free inside the heap is nobody's."""
        if self._held_at[0] is not now:
            self._held_at = now, self._free_in_heap(now.anonymous, self._weighty)
        return now.anonymous - self._held_at[1]

    def _held_at_peak(self, peak: int, now: Resident) -> int:
        """The most in use since the heap was looked at last, where so many bytes were the most that were resident.

        What lay free by then may have been taken up again without a trace: what of that is still held now is told.
        """
        before = self._held_at[1]
        return max(peak - before, self._held(now))

    def _between(self) -> Resident:
        """The process between two nodes: as it was looked at a moment ago, if nothing was freed since."""
        now, climbs = self._clock(), self._ladder.climbs
        last = self._looked
        if last is None or last[1] != climbs or now - last[0] > MOMENT:
            last = self._looked = now, climbs, self._resident()
        return last[2]

    def _stop_peak(self) -> int:
        peak, seen = self._peak.stop(), self._peak.resident
        self._looked = None if seen is None else (self._clock(), self._ladder.climbs, seen)
        return peak

    def _on_devices(self) -> Mapping[int, int]:
        """Bytes at the highest point before the last `stop`, weights and all, by device."""
        tensors, weights = self._peak.vram, self._peak.weights
        for device, size in tensors.items():
            self._tensors[device] = max(size, self._tensors.get(device, 0))
        return {device: size + weights.get(device, 0) for device, size in tensors.items()}

    def _make_room(self, node: NodeStart, need: int, settings: Settings) -> None:
        if self._roomy(need):
            return
        reading = self._glance(need)
        ahead = level_of(reading.used + need, reading.limit, settings.ram)
        if ahead < Level.CRITICAL:
            return
        entry = min(entry_of(tier, reading.limit, settings.ram) for tier in (Level.CRITICAL, Level.EMERGENCY))
        goal = reading.used + need - int(entry - reading.limit * settings.ram.leave)
        why = (
            f"before node {node.node_id} ({node.class_type}): RAM {reading.fraction:.0%} of {human(reading.limit)}"
            + (f", about {human(need)} more to come" if need else "")
        )
        cause: Cause = {
            "code": "node",
            "node": f"{node.node_id} {node.class_type}",
            "need": need,
            "fraction": reading.fraction,
            "limit": reading.limit,
        }
        self._ladder.climb(Shortage("ram", ahead, why, goal, cause), Place.BETWEEN_NODES)

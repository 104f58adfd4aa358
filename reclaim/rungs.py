"""The rungs of RAM and VRAM: each one way to give memory back, and what it could give before it acts."""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..monitor.readings import Level
from .action import human
from .buffers import ModelPins, OwnWorkingSet, PinnedCache, WrittenFiles
from .host import CachedOutput, LoadedModel, MemoryHost, Place, Use
from .ladder import WORTHWHILE, Rung


def trim_heap() -> None:
    """Give the heap's free pages back to the system: `psutil.heap_trim`, else glibc's `malloc_trim(0)`.

    Where neither exists (macOS, musl) it does nothing: those allocators give back by themselves.
    """
    import psutil

    heap_trim = getattr(psutil, "heap_trim", None)
    if heap_trim is not None:
        heap_trim()
    elif sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


class Outputs:
    """Cached outputs of certain uses, largest first, only as many as needed, never part of a shared group."""

    place = Place.BETWEEN_NODES

    def __init__(self, host: MemoryHost, name: str, uses: Iterable[Use], level: Level, *, models: bool = False) -> None:
        self.name = name
        self.level = level
        self._host = host
        self._uses = frozenset(uses)
        self._models = models

    def estimate(self, resource: str, place: Place) -> int:
        """Bytes of the entries this rung may drop."""
        return sum(_size(g, resource) for g in self._groups())

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Drop entries; a dropped model needs a collection, because its objects refer to each other."""
        chosen = self._choose(resource, goal)
        self._host.drop_outputs(chosen)
        names = ", ".join(o.node for o in chosen[:3]) + (f" and {len(chosen) - 3} more" if len(chosen) > 3 else "")
        if self._models:
            chosen.clear()  # a host's keys may hold what was dropped
            gc.collect()
        return None, f"dropped {self.name} ({names})"

    def going(self, resource: str) -> list[CachedOutput]:
        """The entries that would be dropped where as much as possible is wanted."""
        return self._choose(resource, None)

    def _choose(self, resource: str, goal: int | None) -> list[CachedOutput]:
        groups = sorted(self._groups(), key=lambda g: -_size(g, resource))
        enough = [g for g in groups if goal is not None and _size(g, resource) >= goal]
        if enough:
            return enough[-1]  # the smallest that suffices by itself: no more than needed
        chosen: list[CachedOutput] = []
        so_far = 0
        for group in groups:
            if (goal is not None and so_far >= goal) or not _size(group, resource):
                break
            chosen += group
            so_far += _size(group, resource)
        return chosen

    def _groups(self) -> list[list[CachedOutput]]:
        """Entries by storage group, those left out that hold an entry this rung may not touch."""
        groups: dict[int, list[CachedOutput]] = {}
        for number, output in enumerate(self._host.outputs()):
            groups.setdefault(output.group or -1 - number, []).append(output)
        return [g for g in groups.values() if all(self._may(o) for o in g)]

    def _may(self, output: CachedOutput) -> bool:
        return output.use in self._uses and bool(output.models) <= self._models


def _size(outputs: Sequence[CachedOutput], resource: str) -> int:
    return sum(o.vram if resource.startswith("vram") else o.ram for o in outputs)


SECOND_PASS = 10_000
"""Objects found from which a second pass is worth it: their finalizers may have let go of more."""


class GarbageCollection:
    """`gc.collect()`, kept to a share of the time; what it yields only trying tells."""

    name = "garbage collection"
    level = Level.WARNING
    place = Place.ANYWHERE

    def __init__(self, share: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._not_before = 0.0

    def estimate(self, resource: str, place: Place) -> int | None:
        """Unknown, or 0 while the share of time is used up."""
        return 0 if not self._share() or self._clock() < self._not_before else None

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Collect; the time it took decides when it may run again."""
        start = self._clock()
        found = gc.collect()
        if found >= SECOND_PASS:
            found += gc.collect()
        end = self._clock()
        self._not_before = end + (end - start) / self._share()
        return None, f"collected garbage ({found} objects)"


class HeapTrim:
    """Free pages of the heap back to the system. About 45 ms a GB, and nothing without slack."""

    place = Place.ANYWHERE

    def __init__(
        self,
        name: str,
        level: Level,
        slack: Callable[[], int | None],
        worth: Callable[[], int],
        trim: Callable[[], None] = trim_heap,
    ) -> None:
        self.name = name
        self.level = level
        self._slack = slack
        self._worth = worth
        self._trim = trim

    def estimate(self, resource: str, place: Place) -> int | None:
        """The slack, where it is worth the time; unknown where the system does not tell."""
        slack = self._slack()
        if slack is None:
            return None
        return slack if slack >= self._worth() else 0

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Trim."""
        self._trim()
        return None, "gave free heap pages back to the system"


class DeviceCache:
    """Unused blocks of the device allocator: `torch.cuda.empty_cache` and its likes."""

    name = "device cache"
    level = Level.CRITICAL
    place = Place.BETWEEN_NODES

    def __init__(self, host: MemoryHost) -> None:
        self._host = host

    def estimate(self, resource: str, place: Place) -> int:
        """Blocks held and not used."""
        return self._host.device_slack()

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Empty it."""
        self._host.empty_device_cache()
        return None, "emptied the device cache"


class Models:
    """Models on the device, largest first, only as many as needed.

    A model that leaves the device moves into RAM, so one that finds no room there stays. Models that the next nodes
    use are taken only if allowed, and only between prompts: in the midst of one they would come straight back.
    """

    level = Level.EMERGENCY

    def __init__(
        self,
        host: MemoryHost,
        name: str,
        room: Callable[[], int],
        *,
        needed: bool = False,
        place: Place = Place.BETWEEN_NODES,
    ) -> None:
        self.name = name
        self.place = place
        self._host = host
        self._room = room
        self._needed = needed

    def estimate(self, resource: str, place: Place) -> int:
        """Bytes on the device of those that would go."""
        return sum(m.vram for m in self._chosen(None))

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Unload."""
        chosen = self._chosen(goal)
        self._host.unload_models(chosen)
        return None, "unloaded " + ", ".join(f"{m.name} ({human(m.vram)})" for m in chosen)

    def going(self) -> list[LoadedModel]:
        """The models that would be unloaded where as much as possible is wanted."""
        return self._chosen(None)

    def _chosen(self, goal: int | None) -> list[LoadedModel]:
        chosen: list[LoadedModel] = []
        room, so_far = self._room(), 0
        for model in sorted(self._host.models(), key=lambda m: -m.vram):
            if goal is not None and so_far >= goal:
                break
            takes = model.vram if model.moves else 0
            if (self._needed or not model.needed) and model.vram > 0 and takes <= room:
                chosen.append(model)
                so_far += model.vram
                room -= takes
        return chosen


def standard_rungs(
    host: MemoryHost,
    *,
    heap_slack: Callable[[], int | None],
    trim_worth: Callable[[], int],
    gc_share: Callable[[], float],
    ram_free: Callable[[], int],
    temp: Sequence[Rung] = (),
    written: Callable[[], Iterable[Path | None]] = tuple,
) -> dict[str, list[Rung]]:
    """The rungs by what is short, in order.

    For RAM what costs nobody anything goes first, and models last, because a model that is unloaded from the device
    moves *into* RAM. For VRAM garbage is collected before the allocator is emptied, because garbage holds blocks.

    Args:
        heap_slack: free bytes inside the heap, None where the system does not tell.
        trim_worth: bytes of slack from which trimming is worth its time at the warning level.
        gc_share: share of the time that collecting garbage may take.
        ram_free: bytes of RAM left, which models unloaded from a device must fit into.
        temp: the rung that cleans the temp folder.
        written: folders whose files are written once and seldom read.
    """
    earlier = Outputs(host, "outputs of earlier prompts", [Use.EARLIER], Level.WARNING)
    done = Outputs(host, "outputs that no later node needs", [Use.EARLIER, Use.DONE], Level.CRITICAL)
    idle = Outputs(host, "models that no later node needs", [Use.EARLIER, Use.DONE], Level.EMERGENCY, models=True)
    again = Outputs(
        host,
        "outputs that the next prompt would have used again",
        [Use.EARLIER, Use.DONE, Use.REUSABLE],
        Level.EMERGENCY,
        models=True,
    )
    collect = GarbageCollection(gc_share)
    trim = HeapTrim("heap trim", Level.WARNING, heap_slack, trim_worth)
    trim_all = HeapTrim("thorough heap trim", Level.CRITICAL, heap_slack, lambda: WORTHWHILE)
    return {
        "ram": [
            earlier,
            PinnedCache(host),
            done,
            collect,
            trim,
            trim_all,
            *temp,
            ModelPins(host),
            idle,
            again,
            trim_all,
            WrittenFiles(written),
            OwnWorkingSet(),
        ],
        "vram": [
            collect,
            earlier,
            DeviceCache(host),
            Models(host, "models that no later node needs", ram_free),
            Models(host, "all models", ram_free, needed=True, place=Place.BETWEEN_PROMPTS),
            DeviceCache(host),
        ],
        "disk": [*temp],
    }

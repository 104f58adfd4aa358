"""The one thread that looks: full samples as often as headroom demands, short looks at RAM between."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..settings import Settings
from .gpu import merged
from .guard import Guarded
from .interval import Rhythm
from .levels import Levels, vram_name
from .readers import Readers
from .readings import DiskReading, GpuReading, Level, MemoryReading, Sample

log = logging.getLogger(__name__)
Listener = Callable[[Sample], None]


class Sampler:
    """Takes samples on a daemon thread and hands them to listeners there.

    Args:
        readers: what to read.
        settings: tiers, intervals and the hand-set limit; `apply` changes them.
        clock: monotonic seconds.
        wall: seconds since the epoch.
    """

    def __init__(
        self,
        readers: Readers,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.readers = readers
        self.last: Sample | None = None
        """The newest sample, None before the first."""
        self._clock, self._wall = clock, wall
        self._asides = readers.asides()
        every: dict[str, Callable[[], Any]] = {
            **readers.quick(),
            **{name: aside.take for name, aside in self._asides.items()},
        }
        self._guards: dict[str, Guarded[Any]] = {n: Guarded(n, read, clock=clock) for n, read in every.items()}
        self._levels, self._rhythm = Levels(settings), Rhythm()
        self._gpu_rhythms: dict[str, Rhythm] = {}
        self._lock = threading.Lock()  # readings and levels: `sample` may come from any thread
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._listeners: list[Listener] = []
        self._faulty: set[Listener] = set()
        self._watched = False
        self._heard: Level | None = None
        self._full_due = self._due = self._late = 0.0
        self._failed = ""
        self.apply(settings)

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def watched(self) -> bool:
        """Whether someone looks on: then the interval at rest is `interval_watched`."""
        return self._watched

    @watched.setter
    def watched(self, value: bool) -> None:
        if value != self._watched:
            self._watched = value
            self._hurry()

    def listen(self, listener: Listener) -> None:
        """Hand every later sample to `listener`, on the sampler's thread. What it raises is logged once."""
        self._listeners.append(listener)

    def apply(self, settings: Settings) -> None:
        """Go by these settings from now on."""
        with self._lock:
            self._settings = settings
            self._levels.apply(settings)
            self.readers.ram.hand_limit = settings.monitor.ram_limit
        self._hurry()

    def start(self) -> None:
        """Start the thread; nothing where it runs already."""
        if not self.running:
            self._stopping = threading.Event()
            self._full_due = self._due = self._clock()
            self._thread = threading.Thread(
                target=self._run, args=(self._stopping,), name="resource-gate sampler", daemon=True
            )
            self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread and wait for it, at most `timeout` seconds; `start` begins anew."""
        self._stopping.set()
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        for aside in self._asides.values():
            aside.stop()

    def sample(self) -> Sample:
        """Take a full sample now, on the caller's thread. It waits for no driver and no disk.

        Listeners get no sample from here, but where RAM has changed its level the thread takes one at once.
        """
        self._ask()
        with self._lock:
            sample = self._take()
        if self.running and sample.levels.get("ram") != self._heard:
            self._hurry()
        return sample

    def tick(self) -> float:
        """Do what is due, hand a full sample to the listeners, return seconds until the next turn.

        The thread calls this; a test may call it in the thread's stead.
        """
        now = self._clock()
        self._late = max(self._late, now - self._due)
        if now >= self._full_due or self._ram_moved():
            self._ask()
            for aside in self._asides.values():
                aside.settle()
            with self._lock:
                sample = self._take()
                self._heard, self._late = sample.levels.get("ram"), 0.0
                self._full_due = sample.at + sample.interval
            self._tell(sample)
        with self._lock:
            level = self._heard or Level.NORMAL
            monitor = self._settings.monitor
            look = self._rhythm.until_look(level, self._settings.ram, monitor, self._rest())
            full = self._rhythm.until_full(level, self._settings.ram, monitor, self._rest())
            now = self._clock()
            # A rate that rose since the last full sample brings the next one forward, and none puts it off.
            self._full_due = min(self._full_due, now + full)
            self._due = min(self._full_due, now + look)
        return max(0.0, self._due - now)

    def _rest(self) -> float:
        monitor = self._settings.monitor
        return min(monitor.interval, monitor.interval_watched) if self._watched else monitor.interval

    def _ask(self) -> None:
        for name, aside in self._asides.items():
            if not self._guards[name].dropped:
                aside.ask()

    def _hurry(self) -> None:
        with self._lock:
            self._full_due = self._due = self._clock()
        self._wake.set()

    def _ram_moved(self) -> bool:
        """Look at RAM alone: has it reached another level than the listeners know?"""
        with self._lock:
            ram: MemoryReading | None = self._guards["ram"].read()
            if ram is None:
                return False
            self._rhythm.note(self._clock(), ram)
            return self._levels.ram_after(ram) != self._heard

    def _take(self) -> Sample:
        """Compose a sample; the caller holds the lock."""
        read = {name: guard.read() for name, guard in self._guards.items()}
        ram: MemoryReading | None = read["ram"]
        at = self._clock()
        if ram is not None:
            self._rhythm.note(at, ram)
        gpus = merged(read.get("nvml") or (), read.get("torch"))
        disks: tuple[DiskReading, ...] = read.get("disks") or ()
        levels = self._levels.update(ram, read.get("cpu"), gpus, disks)
        ages = {name: age for name, aside in self._asides.items() if (age := aside.age) is not None}
        sample = Sample(
            at=at,
            time=self._wall(),
            ram=ram,
            process=read.get("process"),
            cpu=read.get("cpu"),
            gpus=gpus,
            disks=disks,
            temp=read.get("temp"),
            pressure=read.get("pressure"),
            fill_rate=self._rhythm.rate,
            ages=ages,
            levels=levels,
            interval=self._interval(at, gpus, levels, ages),
            late=self._late,
            problems={n: guard.problem for n, guard in self._guards.items() if guard.problem is not None},
        )
        self.last = sample
        return sample

    def _interval(
        self, at: float, gpus: Iterable[GpuReading], levels: Mapping[str, Level], ages: Mapping[str, float]
    ) -> float:
        """Return seconds until the next full sample: whichever memory reaches its next level first."""
        settings, rest = self._settings, self._rest()
        level = levels.get("ram", Level.NORMAL)
        soonest = self._rhythm.until_full(level, settings.ram, settings.monitor, rest)
        for gpu in gpus:
            name = vram_name(gpu)
            rhythm = self._gpu_rhythms.setdefault(name, Rhythm())
            rhythm.note(at - ages.get(gpu.source, 0.0), MemoryReading(gpu.working_set, gpu.total, gpu.source))
            soonest = min(soonest, rhythm.until_full(levels[name], settings.vram, settings.monitor, rest))
        return soonest

    def _tell(self, sample: Sample) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(sample)
            except Exception:  # one listener's failure must not keep the sample off the others
                if listener not in self._faulty:
                    self._faulty.add(listener)
                    log.warning("Resource Gate: a listener failed on a sample", exc_info=True)

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self._wake.clear()
            try:
                rest = self.tick()
            except Exception as error:  # the thread must outlive a fault of ours
                rest = self._settings.monitor.interval
                if repr(error) != self._failed:
                    self._failed = repr(error)
                    log.warning("Resource Gate: the sampler failed; it goes on", exc_info=True)
            if not stopping.is_set():
                self._wake.wait(rest)

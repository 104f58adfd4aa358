"""What one look at the machine yields: frozen, in bytes, fractions 0–1 and seconds."""

# No postponed annotations here: a named tuple compiles each of them when ComfyUI starts.
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple


class Level(IntEnum):
    """How near a resource is to its limit; ordered, so that the worst of several is their `max`."""

    NORMAL = 0
    WARNING = 1
    CRITICAL = 2
    EMERGENCY = 3

    @property
    def label(self) -> str:
        """The word that the API and the panel use: `normal`, `warning`, `critical`, `emergency`."""
        return self.name.lower()


class MemoryReading(NamedTuple):
    """RAM as the tightest limit sees it: that limit is what the kernel kills at.

    `used` leaves out page cache (both active and inactive file pages): the kernel drops it before it kills.
    """

    used: int
    limit: int
    source: str
    """Whose limit it is: `host`, `cgroup v1 /path`, `cgroup v2 /path`, `settings`."""

    @property
    def free(self) -> int:
        """Bytes until the limit, never below zero."""
        return max(0, self.limit - self.used)

    @property
    def fraction(self) -> float:
        """Used share of the limit, 0–1 (above 1 where a limit was lowered under use)."""
        return self.used / self.limit if self.limit else 0.0


class ProcessReading(NamedTuple):
    """This process: bytes resident, peak since start, the anonymous part, and free bytes the heap holds."""

    rss: int
    peak: int
    anonymous: int
    heap_slack: int | None = None


class CpuReading(NamedTuple):
    """Busy share of the machine (0–1 over all cores) and of this process (in cores) of late."""

    fraction: float
    process_cores: float
    cores: int
    load: tuple[float, float, float] | None = None
    """Mean length of the run queue over 1, 5 and 15 minutes; None on Windows."""


class GpuReading(NamedTuple):
    """One GPU, numbered as ComfyUI counts; optional fields are None where the driver does not tell."""

    # Hides a tuple's own `index`, which looks for a value: nobody looks for one in this.
    index: int  # type: ignore[assignment]
    name: str
    used: int
    total: int
    source: str
    """Who told: `nvml` or `torch`."""
    freeable: int | None = None
    """Bytes of `used` that ComfyUI's own process could give back."""
    utilization: float | None = None
    """Share of the last moments in which a kernel ran, 0–1."""
    temperature: float | None = None
    """Degrees Celsius."""
    power: float | None = None
    """Watts."""
    throttled: str | None = None
    """Why its clocks are held down, in words; None where they are not, or the driver does not tell."""
    uuid: str | None = None
    """What the driver calls this card; tells the same card told of by two sources."""
    evictable: int = 0
    """Bytes of `used` that give way by themselves when the card runs short: weights under ComfyUI's dynamic VRAM."""
    in_use: bool = True
    """Whether this process has anything on the card. Where it has not, torch does not tell what others use, and nothing
    that is freed here makes room there: the card is shown, and its level stays normal."""

    @property
    def working_set(self) -> int:
        """Bytes that do not give way by themselves: as page cache is no part of RAM in use, what is evictable is none
        of this."""
        return max(0, self.used - self.evictable)

    @property
    def fraction(self) -> float:
        """The working set's share of the card's memory, 0–1; levels go by it."""
        return self.working_set / self.total if self.total else 0.0


class DiskReading(NamedTuple):
    """A file system that ComfyUI writes to; `roles` says what lies on it (`output`, `temp`, `database`)."""

    path: str
    roles: tuple[str, ...]
    used: int
    total: int
    free: int
    full_in: float | None = None
    """Seconds until full at the present growth; None while it does not grow."""

    @property
    def fraction(self) -> float:
        """Share not available to this user, 0–1."""
        return 1.0 - self.free / self.total if self.total else 0.0


class TempReading(NamedTuple):
    """ComfyUI's temp folder: bytes and files in it, and bytes a second it grew by since the last look."""

    path: str
    bytes: int
    files: int
    growth: float = 0.0
    complete: bool = True
    """False where the walk ran out of time: `bytes` and `files` are then what it saw until then."""


class PressureReading(NamedTuple):
    """Signs of memory trouble beside the levels, never the only ground for an action; None: not told here."""

    some: float | None = None
    """Share of the last 10 s in which at least one task waited for memory, 0–1 (Linux PSI)."""
    full: float | None = None
    """The same for all tasks at once: thrash."""
    stalled: float | None = None
    """Seconds so far in which at least one task waited."""
    swap_used: int | None = None
    swap_total: int | None = None
    oom_kills: int | None = None
    """Processes that the kernel killed for memory so far: in the own cgroup where it counts, else in all."""


class Sample(NamedTuple):
    """One full look. Parts are None or empty where no reader could tell; `problems` says why, by reader."""

    at: float
    """Seconds on the monotonic clock."""
    time: float
    """Seconds since the epoch."""
    ram: MemoryReading | None = None
    process: ProcessReading | None = None
    cpu: CpuReading | None = None
    gpus: tuple[GpuReading, ...] = ()
    disks: tuple[DiskReading, ...] = ()
    temp: TempReading | None = None
    pressure: PressureReading | None = None
    fill_rate: float = 0.0
    """Bytes a second by which RAM in use rose at last; negative while it falls."""
    ages: Mapping[str, float] = MappingProxyType({})
    """By reader that runs aside (`nvml`, `torch`, `disks`, `temp`): seconds since it last told."""
    levels: Mapping[str, Level] = MappingProxyType({})
    """By resource name: `ram`, `cpu`, `vram0` …, `disk_output` …"""
    interval: float = 0.0
    """Seconds until the next sample, as the rule chose."""
    late: float = 0.0
    """Seconds this sample came after it was due."""
    problems: Mapping[str, str] = MappingProxyType({})

    @property
    def level(self) -> Level:
        """The worst level of what can end a job; a busy CPU ends none, so it does not count."""
        return max((v for k, v in self.levels.items() if k != "cpu"), default=Level.NORMAL)

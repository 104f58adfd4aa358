"""This process's own memory: resident, peak, anonymous, and what its heap holds back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from .heap import SparingHeapSlack, own_heap_use
from .kept import KeptFile, number_after
from .readings import ProcessReading

PROC = Path("/proc") if sys.platform.startswith("linux") else None


class Resident(NamedTuple):
    """Bytes resident, the peak of that, and the anonymous part."""

    rss: int
    peak: int
    anonymous: int


class QuickResident:
    """The same on Linux in a third of the time: from `statm`, and the peak from getrusage(2).

    What getrusage tells includes the program that started this one, if that was larger (execve(2) hands its peak on):
    the two must agree at the start and after each reset, else this is not used.

    Raises:
        OSError, ImportError, ValueError: the system does not tell in this way.
    """

    AGREE = 4 * 1024**2
    """Bytes: the kernel counts pages on each processor apart, and adds up a little later."""

    def __init__(self, proc: Path, now: Resident) -> None:
        import resource

        self._statm = KeptFile(proc / "self/statm", 128)
        self._usage: Callable[[], int] = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._page = resource.getpagesize()
        if not self.agrees(now):
            raise ValueError("statm and getrusage tell of another size than status")

    def __call__(self) -> Resident:
        """Look now."""
        _, resident, shared, *_ = self._statm.read().split()
        rss = int(resident) * self._page
        return Resident(rss, max(rss, self._usage()), rss - int(shared) * self._page)

    def agrees(self, told: Resident) -> bool:
        """Whether it tells what `status` has just told."""
        return all(abs(mine - theirs) <= self.AGREE for mine, theirs in zip(self(), told, strict=True))


class ProcessReader:
    """Reads `/proc/self/status` through a kept file, or psutil where there is none. Any thread.

    A process made by `fork` must build its own: the kept file goes on telling of the parent.

    Args:
        proc: `/proc`, or a tree made like it; None where the system has none.
        portable: tells the same on other systems.
        slack: bytes the heap holds back, from the anonymous bytes; None for what this system tells.
    """

    def __init__(
        self,
        proc: Path | None = PROC,
        *,
        portable: Callable[[], Resident] | None = None,
        slack: Callable[[int], int | None] | None = None,
    ) -> None:
        self._status = KeptFile(proc / "self/status") if proc else None
        self._clear_refs = proc / "self/clear_refs" if proc else None
        self._portable = portable or PortableProcess()
        self._slack = slack or SparingHeapSlack(own_heap_use())
        self._highest = 0
        self._quick: QuickResident | None = None
        if proc is not None and proc == PROC:
            try:
                self._quick = QuickResident(proc, self.resident())
            except (OSError, ImportError, ValueError):
                self._quick = None

    def read(self) -> ProcessReading:
        """Look now; about 8 µs on Linux.

        Raises:
            OSError, psutil.Error: the system does not tell.
        """
        now = self.resident()
        self._highest = max(self._highest, now.peak)
        return ProcessReading(now.rss, self._highest, now.anonymous, self._slack(now.anonymous))

    def resident(self) -> Resident:
        """Return the bare figures; the peak is that since the last reset."""
        quick = self._quick
        if quick is not None:
            return quick()
        if self._status is None:
            return self._portable()
        data = self._status.read()
        rss = _kib(data, b"\nVmRSS:")
        # gVisor leaves RssAnon out: all of it is the nearest that is safe.
        return Resident(rss, _kib(data, b"\nVmHWM:", rss), _kib(data, b"\nRssAnon:", rss))

    def anonymous_rss(self) -> int:
        """Return the anonymous bytes alone, about 5 µs."""
        if self._status is None:
            return self._portable().anonymous
        return self.resident().anonymous

    def reset_peak(self) -> bool:
        """Let the system count its peak from now on; False where it does not offer that.

        `read` goes on telling the peak since the start.
        """
        if self._clear_refs is None:
            return False
        self._highest = max(self._highest, self.resident().peak)
        try:
            self._clear_refs.write_bytes(b"5")  # proc(5): 5 resets the peak resident set size
        except OSError:
            return False
        quick, self._quick = self._quick, None
        if quick is not None and quick.agrees(self.resident()):
            self._quick = quick
        return True


def _kib(data: bytes, key: bytes, default: int = 0) -> int:
    value = number_after(data, key)
    return default if value is None else value * 1024


class PortableProcess:
    """The same through psutil: Windows' private bytes and peak working set, the Mac's `ru_maxrss`.

    Args:
        process: as `psutil.Process()`.
        maximum: bytes of the highest resident size so far, for systems whose `memory_info` has none.
    """

    def __init__(self, process: Any = None, maximum: Callable[[], int] | None = None) -> None:
        self._process = process or psutil.Process()
        self._maximum = maximum or peak_resident

    def __call__(self) -> Resident:
        """Look now."""
        info = self._process.memory_info()
        peak = getattr(info, "peak_wset", None)
        private = getattr(info, "private", None)
        rss = int(info.rss)
        return Resident(
            rss,
            int(self._maximum() if peak is None else peak),
            rss if private is None else int(private),
        )


def peak_resident() -> int:
    """Return this process's highest resident size in bytes, by getrusage(2); 0 where there is none."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # the Mac counts bytes, others KiB

"""The highest memory of one job: exact where the system counts, by samples elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from .cgroup import memory_groups
from .process import ProcessReader
from .readings import Sample


class DevicePeaks(Protocol):
    """torch's own peak counters; a host supplies them."""

    def reset(self) -> None:
        """Count from now on."""
        ...

    def read(self) -> Mapping[int, int]:
        """Return the highest bytes that tensors took since then, by index of the card."""
        ...

    def weights(self) -> Mapping[int, int]:
        """Return bytes of weights on the card that are no tensors of torch's, now."""
        ...


class ResidentNow(Protocol):
    """Bytes of this process at one moment."""

    @property
    def rss(self) -> int:
        """Resident."""
        ...

    @property
    def peak(self) -> int:
        """The highest of that since the counter was last reset."""
        ...

    @property
    def anonymous(self) -> int:
        """Resident without mapped files."""
        ...


NEAR = 4 * 1024**2
"""Bytes by which an earlier peak may lie above what is resident without being forgotten: a job is then told to have had
so much more at the most, and a reset costs as much as all else before a short prompt."""


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


class CgroupPeak:
    """The peak counter of the process's own memory cgroup, page cache included.

    v2 counts anew for one open file once that file is written to (Linux 6.12); the counter of v1, and of older
    kernels, is left as it is, for others may watch it: it tells a job's peak only if that job raised it.
    """

    def __init__(
        self,
        proc: Path = Path("/proc"),
        sys_cgroup: Path = Path("/sys/fs/cgroup"),
        to_write: Callable[[Path], int] = _opened,
    ) -> None:
        self._to_write = to_write
        self._own_reset = False
        self._file: Path | None = None
        self._fd: int | None = None
        self._before = 0
        for group in memory_groups(proc, sys_cgroup)[:1]:
            file = group.folder / ("memory.peak" if group.version == 2 else "memory.max_usage_in_bytes")
            self._file = file if file.exists() else None
            self._own_reset = group.version == 2

    def start(self) -> None:
        """Count from now on, as far as the kernel offers that."""
        self.close()
        if self._file is None:
            return
        if self._own_reset:
            try:
                self._fd = self._to_write(self._file)
                os.write(self._fd, b"0")
            except OSError:  # an older kernel, or a mount that is read-only
                self.close()
        self._before = int(self._file.read_bytes())

    def read(self) -> int | None:
        """Return the bytes, None where the kernel cannot tell them apart from an earlier peak."""
        if self._file is None:
            return None
        if self._fd is not None:
            return int(os.pread(self._fd, 64, 0))
        peak = int(self._file.read_bytes())
        return peak if peak > self._before else None

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None


class PeakMeter:
    """Measures the peak of one job after another; `start`, `stop` on one thread, `note` on any.

    It takes the first that can tell: the process's peak, reset at the start (Linux); the same without a reset,
    where this job raised it; the cgroup's; the highest of the samples.

    Args:
        process: this process's reader.
        cgroup: the cgroup's counter; None to leave it out.
        devices: torch's counters; None where there are none.
        near: bytes by which an earlier peak may lie above what is resident.
    """

    def __init__(
        self,
        process: ProcessReader,
        cgroup: CgroupPeak | None = None,
        devices: DevicePeaks | None = None,
        near: int = NEAR,
    ) -> None:
        self._near = near
        self._process, self._cgroup, self._devices = process, cgroup, devices
        self.how = ""
        """Who told the last figure: `process`, `cgroup` or `samples`."""
        self.anonymous = 0
        """The highest anonymous bytes seen in samples: without mapped files, and so a lower bound."""
        self.vram: Mapping[int, int] = {}
        """The highest bytes of tensors on each card in the last job, by index."""
        self.weights: Mapping[int, int] = {}
        """Bytes of weights that lay beside them at its end, and would have given way to more tensors."""
        self._sampled = self._before = 0
        self._reset = False
        self.resident: ResidentNow | None = None
        """As read by the last `stop`."""

    def start(self, now: ResidentNow | None = None) -> None:
        """Begin a job.

        Args:
            now: as read a moment ago; None to read it.

        Raises:
            OSError: the system does not tell of this process.
        """
        now = now or self._process.resident()
        self._sampled, self.anonymous, self._before = now.rss, now.anonymous, now.peak
        self._reset = now.rss <= now.peak <= now.rss + self._near or self._process.reset_peak()
        if self._cgroup is not None:
            self._cgroup.start()
        if self._devices is not None:
            self._devices.reset()

    def note(self, sample: Sample) -> None:
        """Take in a sample of the running job; made to be a listener of the sampler."""
        if sample.process is not None:
            self._sampled = max(self._sampled, sample.process.rss)
            self.anonymous = max(self.anonymous, sample.process.anonymous)

    def stop(self) -> int:
        """End the job and return the highest resident bytes of this process during it.

        Raises:
            OSError: as `start`.
        """
        now = self.resident = self._process.resident()
        self.anonymous = max(self.anonymous, now.anonymous)
        if self._devices is not None:
            self.vram, self.weights = dict(self._devices.read()), dict(self._devices.weights())
        by_group = self._cgroup.read() if self._cgroup is not None else None
        if self._reset or now.peak > self._before:
            self.how = "process"
            return now.peak
        if by_group is not None:
            self.how = "cgroup"
            return by_group
        self.how = "samples"
        return max(self._sampled, now.rss)

"""No host at all: a Python program that uses `ResourceOptimizer` by itself, with or without torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path
from typing import Any

from ..monitor.readings import GpuReading
from ..reclaim.host import CachedOutput, Place
from .device_memory import DeviceMemory
from .no_models import NoModels


class StandaloneHost(NoModels):
    """A `MemoryHost` without outputs, models or temp folder; with torch's device cache where torch is loaded.

    Args:
        torch: the module, None while the program has not loaded it.
    """

    def __init__(self, torch: Callable[[], Any] = lambda: sys.modules.get("torch")) -> None:
        self._torch = torch
        self._memory: DeviceMemory | None = None

    def outputs(self) -> Sequence[CachedOutput]:
        """None are known."""
        return []

    def drop_outputs(self, outputs: Iterable[CachedOutput]) -> None:
        """There are none."""

    def device_slack(self) -> int:
        """Bytes that torch's CUDA allocator holds unused; 0 without one."""
        cuda = self._cuda()
        if cuda is None:
            return 0
        return sum(cuda.memory_reserved(i) - cuda.memory_allocated(i) for i in range(cuda.device_count()))

    def empty_device_cache(self) -> None:
        """`torch.cuda.empty_cache`."""
        cuda = self._cuda()
        if cuda is not None:
            cuda.empty_cache()

    def temp_folder(self) -> Path | None:
        """None: nothing is cleaned."""
        return None

    def kept_folders(self) -> Sequence[Path]:
        """None."""
        return []

    def referenced_files(self) -> set[Path]:
        """None."""
        return set()

    def running_since(self) -> float | None:
        """It runs no prompts."""
        return None

    def release_files(self, paths: Set[str], place: Place) -> set[str]:
        """It caches none."""
        return set(paths)

    def on_worker(self, work: Callable[[Place], None]) -> None:
        """Every thread is as good as another here."""
        work(Place.BETWEEN_PROMPTS)

    def gpu_memory(self) -> list[GpuReading]:
        """Device memory as torch sees it; none without torch."""
        torch = self._torch()
        if torch is None:
            return []
        self._memory = self._memory or DeviceMemory(torch, dict)
        return self._memory.readings()

    def _cuda(self) -> Any | None:
        cuda = getattr(self._torch(), "cuda", None)
        return cuda if cuda is not None and cuda.is_available() and cuda.is_initialized() else None

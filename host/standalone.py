"""No host at all: a Python program that uses `ResourceOptimizer` by itself, with or without torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path
from typing import Any

from ..reclaim.host import CachedOutput, Place
from .no_models import NoModels


class StandaloneHost(NoModels):
    """A `MemoryHost` without outputs, models or temp folder; with torch's device cache where torch is loaded."""

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

    @staticmethod
    def _cuda() -> Any | None:
        torch = sys.modules.get("torch")
        cuda = getattr(torch, "cuda", None)
        return cuda if cuda is not None and cuda.is_available() and cuda.is_initialized() else None

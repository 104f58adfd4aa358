"""The temp folder: how much lies in it, and how fast it grows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from .readings import TempReading

BUDGET = 2.0
"""Seconds that one walk may take."""


class TempReader:
    """Walks the folder, following no link. It takes milliseconds a thousand files: not for the fast path.

    Args:
        folder: the temp folder; one that does not exist yet is empty.
        budget: seconds one walk may take; what was seen until then is told as incomplete.
        clock: monotonic seconds.
    """

    def __init__(self, folder: Path, *, budget: float = BUDGET, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._budget, self._clock = folder, budget, clock
        self._before: tuple[float, int] | None = None

    def read(self) -> TempReading:
        """Walk now.

        Raises:
            OSError: the folder itself cannot be listed. What vanishes during the walk is left out.
        """
        began = self._clock()
        size, files, complete = self._walk(began + self._budget)
        growth = 0.0
        if complete:
            if self._before is not None and began > self._before[0]:
                growth = (size - self._before[1]) / (began - self._before[0])
            self._before = (began, size)
        return TempReading(str(self._folder), size, files, growth, complete)

    def _walk(self, until: float) -> tuple[int, int, bool]:
        size = files = 0
        folders = [str(self._folder)]
        while folders:
            folder = folders.pop()
            try:
                entries = os.scandir(folder)
            except FileNotFoundError:
                continue
            except OSError:
                if folder == str(self._folder):
                    raise
                continue
            with entries:
                for entry in entries:
                    if self._clock() > until:
                        return size, files, False
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
                        else:
                            size += entry.stat(follow_symlinks=False).st_size
                            files += 1
                    except FileNotFoundError:
                        continue
        return size, files, True

"""Expired files of the temp folder: inside it only, through no link, never what is referenced or open."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..monitor.readings import Level
from .action import human
from .host import Place

log = logging.getLogger(__name__)

PAUSE = 60.0
"""Seconds between two walks of the folder: it is on disk, and files expire by the hour."""


@dataclass(frozen=True)
class Expired:
    """A file that may go."""

    path: Path
    size: int
    identity: tuple[int, int]
    """(device, inode): a folder on its way may have been swapped for a link in the meantime."""


def open_files() -> set[tuple[int, int]]:
    """(device, inode) of the files this process holds open; empty where the system does not tell (no `/proc`)."""
    found = set()
    try:
        descriptors = list(Path("/proc/self/fd").iterdir())
    except OSError:
        return set()
    for descriptor in descriptors:
        try:
            status = descriptor.stat()
        except OSError:
            continue  # closed since it was listed
        if stat.S_ISREG(status.st_mode):
            found.add((status.st_dev, status.st_ino))
    return found


class ExpiredTemp:
    """A rung: removes files older than `age` seconds.

    Args:
        folder: the temp folder, or None where there is none.
        referenced: files that history or queue refer to.
        enabled: whether cleaning is switched on.
        age: seconds since the last write after which a file has expired.
    """

    name = "expired temp files"
    level = Level.WARNING
    place = Place.ANYWHERE

    def __init__(
        self,
        folder: Callable[[], Path | None],
        referenced: Callable[[], set[Path]],
        *,
        enabled: Callable[[], bool],
        age: Callable[[], float],
        opened: Callable[[], set[tuple[int, int]]] = open_files,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._referenced = referenced
        self._enabled = enabled
        self._age = age
        self._opened = opened
        self._now = now
        self._clock = clock
        self._not_before = 0.0
        self._found: list[Expired] = []

    def estimate(self, resource: str, place: Place) -> int:
        """Bytes of expired files; 0 within a minute of the last look. They free disk, and RAM only on a RAM disk."""
        if not self._enabled() or self._clock() < self._not_before:
            return 0
        self._not_before = self._clock() + PAUSE
        self._found = self.expired()
        return sum(f.size for f in self._found)

    def free(self, resource: str, place: Place, goal: int | None) -> tuple[int | None, str]:
        """Remove what the estimate found, each looked at once more."""
        removed, size = 0, 0
        kept, opened = self._referenced(), self._opened()
        for file in self._found:
            if file.path not in kept and file.identity not in opened and self._remove(file):
                removed += 1
                size += file.size
        self._found = []
        freed = size if resource.startswith("disk") else 0
        return freed, f"removed {removed} expired temp files ({human(size)})"

    def expired(self) -> list[Expired]:
        """The files that may go now."""
        root = self._folder()
        if root is None or not root.is_dir():
            return []
        before = self._now() - self._age()
        kept, opened = self._referenced(), self._opened()
        return [
            Expired(path, status.st_size, (status.st_dev, status.st_ino))
            for path, status in _files(root)
            if max(status.st_mtime, status.st_ctime) < before
            and path not in kept
            and (status.st_dev, status.st_ino) not in opened
        ]

    def _remove(self, file: Expired) -> bool:
        try:
            status = file.path.lstat()
            if not stat.S_ISREG(status.st_mode) or (status.st_dev, status.st_ino) != file.identity:
                return False
            if max(status.st_mtime, status.st_ctime) >= self._now() - self._age():
                return False
            file.path.unlink()
        except OSError as error:
            log.debug("temp file %s stays: %s", file.path, error)
            return False
        return True


def _files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Regular files below `root`, on its own file system, no link followed, none of those that are links."""
    device = root.stat().st_dev
    pending = [root]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue  # gone, or not ours to read: then not ours to clean
        for entry in entries:
            try:
                status = Path(entry.path).lstat()  # not entry.stat(): on Windows that one tells no device
            except OSError:
                continue
            if status.st_dev != device or getattr(status, "st_reparse_tag", False):
                continue  # another file system; on Windows also a junction, which is no link to `S_ISLNK`
            if stat.S_ISDIR(status.st_mode):
                pending.append(Path(entry.path))
            elif stat.S_ISREG(status.st_mode):
                yield Path(entry.path), status

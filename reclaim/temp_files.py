"""What lies below the temp folder, and what of it is in use: looks only, changes nothing."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

Identity = tuple[int, int]
"""(device, inode): the same file under every name that leads to it."""

MOST_FILES = 200_000
"""Files that one walk looks at: they are held in memory, at about 0.5 KB each."""

MOST_DESCRIPTORS = 4096
"""Descriptors up to which a system without `/proc` is asked for open files: it is asked for each by itself."""


class Entry(NamedTuple):
    """A file or folder, as it stood when it was looked at."""

    path: str
    size: int
    """Bytes that go with it: none where the file has a second name."""
    changed: float
    """When it last changed or arrived, seconds since the epoch.

    The later of mtime and ctime: a file copied or moved here keeps its old mtime and is in use all the same. On
    Windows ctime is the time of creation, which serves as well.
    """
    identity: Identity


class Walked:
    """Regular files, folders (parents before what is in them), and whether that is all there is."""

    def __init__(self) -> None:
        self.files: list[Entry] = []
        self.folders: list[Entry] = []
        self.complete = True


def entry_of(path: str, status: os.stat_result) -> Entry:
    """The entry that this `lstat` describes."""
    size = status.st_size if status.st_nlink <= 1 else 0
    return Entry(path, size, max(status.st_mtime, status.st_ctime), (status.st_dev, status.st_ino))


def walk(root: Path, time_is_up: Callable[[], bool]) -> Walked:
    """What lies below `root`, on its own file system, no link followed; links themselves are left out."""
    found = Walked()
    device = root.stat().st_dev
    pending = [str(root)]
    while pending:
        try:
            names = [entry.path for entry in os.scandir(pending.pop())]
        except OSError:
            continue  # gone, or not ours to read: then not ours to clean
        for path in names:
            if len(found.files) >= MOST_FILES or time_is_up():
                found.complete = False
                return found
            try:
                status = os.lstat(path)  # not the entry's own: on Windows that one tells no device
            except OSError:
                continue
            if status.st_dev != device or getattr(status, "st_reparse_tag", False):
                continue  # another file system; on Windows also a junction, which is no link to `S_ISLNK`
            if stat.S_ISDIR(status.st_mode):
                found.folders.append(entry_of(path, status))
                pending.append(path)
            elif stat.S_ISREG(status.st_mode):
                found.files.append(entry_of(path, status))
    return found


def identities(paths: Iterable[Path]) -> set[Identity]:
    """Of those paths that lead to something. By identity, because one file has many spellings: `..`, case, links."""
    found = set()
    for path in paths:
        try:
            status = path.stat()
        except (OSError, ValueError):
            continue  # gone, or text that is no path at all
        found.add((status.st_dev, status.st_ino))
    return found


def open_files() -> set[Identity] | None:
    """The files that this process holds open; None where that cannot be told now.

    Windows needs none: it refuses by itself to remove a file that is open.
    """
    if sys.platform == "win32":
        return set()
    descriptors = Path("/proc/self/fd")
    if descriptors.is_dir():
        return _of_descriptors(descriptors)
    import psutil

    process = psutil.Process()
    try:
        if process.num_fds() > MOST_DESCRIPTORS:
            return None
        return identities(Path(file.path) for file in process.open_files())
    except psutil.Error:
        return None


def _of_descriptors(folder: Path) -> set[Identity] | None:
    try:
        return identities(folder.iterdir())
    except OSError:
        return None


def overlapping(folder: Path, others: Iterable[Path]) -> Path | None:
    """The first of `others` that is `folder`, lies within it, or holds it; links are resolved on both sides."""
    for other in others:
        if _holds(folder, other) or _holds(other, folder):
            return other
    return None


def _holds(outer: Path, inner: Path) -> bool:
    real, resolved = outer.resolve(), inner.resolve()
    if real == resolved or real in resolved.parents:
        return True
    try:
        return any(real.samefile(p) for p in (resolved, *resolved.parents) if p.exists())
    except OSError:
        return False  # one of them is not there: then only the names can tell, and they did

"""Cleaning the temp folder: inside it only, through no link, never what is referenced, open, or still being made."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from ..settings import Reclaim
from .action import human
from .host import TempHost
from .temp_files import Entry, Identity, Walked, entry_of, identities, open_files, overlapping, walk

log = logging.getLogger(__name__)

RECENT = 60.0
"""Seconds since its last change in which a file stays whatever the cap says: it may be half written, or not yet told
of by the prompt that made it."""

CLOCKS_APART = 2.0
"""Seconds by which a file may seem older than it is: FAT counts in two seconds, a file server has its own clock."""

MOST_REMOVED = 20_000
"""Files removed in one run; the rest goes in the next. It keeps one mistake, and one burst of work, bounded."""

SECONDS = 10.0
"""Seconds for looking, and as many for removing, in one run: on a slow network disk prompts write at the same time."""

ASK_AGAIN = 1.0
"""Seconds after which a run asks anew what is referenced: meanwhile prompts are queued that name files."""

NAMES = 10
"""Names that a dry run tells; the rest as a number, and all in the log at debug level."""


class Found(NamedTuple):
    """What may go: files, oldest first, of which `over_cap` are not expired; and folders that may be empty."""

    files: tuple[Entry, ...] = ()
    folders: tuple[Entry, ...] = ()
    over_cap: int = 0

    @property
    def bytes(self) -> int:
        """Of the files together."""
        return sum(f.size for f in self.files)

    def names(self, root: Path) -> str:
        """The first names, for a person, in one line whatever they hold."""
        told = [os.path.relpath(f.path, root) for f in self.files[:NAMES]]
        rest = len(self.files) - len(told)
        return ", ".join(n if n.isprintable() else ascii(n) for n in told) + (f" and {rest} more" if rest else "")


_Unlinked = dict[Identity, tuple[int, int]]
"""Files that have lost one of several names: when they were written to last, in nanoseconds, and their size."""


class Removed:
    """What went. `more`: a limit ended the run before its work was done."""

    def __init__(self) -> None:
        self.files = 0
        self.bytes = 0
        self.folders = 0
        self.seconds = 0.0
        self.more = False

    @property
    def text(self) -> str:
        """`removed 3 old temp files (12 MB) and 1 empty folder`."""
        parts = [f"{self.files} old temp file{'s' * (self.files != 1)} ({human(self.bytes)})"] if self.files else []
        if self.folders:
            parts.append(f"{self.folders} empty folder{'s' * (self.folders != 1)}")
        return f"removed {' and '.join(parts) or 'no temp files'}{', more to come' * self.more}"


class _InUse(NamedTuple):
    identities: set[Identity]
    since: float | None
    """When the running prompt began; None where none runs."""

    def holds(self, entry: Entry) -> bool:
        made_now = self.since is not None and entry.changed >= self.since - CLOCKS_APART
        return made_now or entry.identity in self.identities


class TempCleaner:
    """Finds and removes what is expired or above the cap. Any thread; walks and deletes, so not the sampler's.

    Args:
        settings: those of reclaiming: `temp_clean`, `temp_age`, `temp_cap`.
        opened: identities of the files this process holds open; None where that cannot be told.
        now: seconds since the epoch, as files have them.
    """

    def __init__(
        self,
        host: TempHost,
        settings: Callable[[], Reclaim],
        *,
        opened: Callable[[], set[Identity] | None] = open_files,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._settings = settings
        self._opened = opened
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._refused: Path | None = None
        self.looked = float("-inf")
        """When it last looked, on `clock`."""

    def find(self, seconds: float = SECONDS) -> Found:
        """What may go now; nothing where cleaning is switched off, or the folder is not one to clean."""
        self.looked = self._clock()
        settings = self._settings()
        root = self._host.temp_folder()
        if not settings.temp_clean or root is None or not root.is_dir() or self._refuses(root):
            return Found()
        used = self._in_use()
        if used is None:
            return Found()
        until = self._clock() + seconds
        return self._choose(walk(root, lambda: self._clock() > until), used, settings)

    def remove(self, found: Found, may_go: Collection[str] | None = None, seconds: float = SECONDS) -> Removed:
        """Remove what was found, each looked at once more.

        Args:
            may_go: paths that the host lets go of; None: all.
        """
        done = Removed()
        root = self._host.temp_folder()
        if root is None or self._refuses(root):
            return done
        with self._lock:
            started = self._clock()
            self._remove_files(found, may_go, done, started + seconds)
            if not done.more:
                done.folders = self._remove_folders(found.folders)
            done.seconds = self._clock() - started
        return done

    def _choose(self, walked: Walked, used: _InUse, settings: Reclaim) -> Found:
        now = self._now()
        before = now - max(settings.temp_age, RECENT)
        free = sorted((f for f in walked.files if not used.holds(f)), key=lambda f: f.changed)
        expired = [f for f in free if f.changed < before]
        over: list[Entry] = []
        if settings.temp_cap and walked.complete:
            left = sum(f.size for f in walked.files) - sum(f.size for f in expired)
            for file in free[len(expired) :]:
                if left <= settings.temp_cap or file.changed >= now - RECENT:
                    break
                over.append(file)
                left -= file.size
        empty = tuple(f for f in walked.folders if f.changed < before and not used.holds(f))
        return Found((*expired, *over), empty, len(over))

    def _in_use(self) -> _InUse | None:
        """None where it cannot be told what is open: then nothing is certain, and nothing goes."""
        # First since when a prompt runs, then what is named: one that ends in between is found in the history. The
        # other way round its files would be neither.
        since = self._host.running_since()
        opened = self._opened()
        return None if opened is None else _InUse(opened | identities(self._host.referenced_files()), since)

    def _refuses(self, root: Path) -> bool:
        kept = overlapping(root, self._host.kept_folders())
        if kept is not None and self._refused != kept:
            log.warning("the temp folder %s is not cleaned: it overlaps with %s (told once)", root, kept)
        self._refused = kept
        return kept is not None

    def _remove_files(self, found: Found, may_go: Collection[str] | None, done: Removed, until: float) -> None:
        used, asked = self._in_use(), self._clock()
        unlinked: _Unlinked = {}
        for file in found.files:
            now = self._clock()
            if done.files >= MOST_REMOVED or now > until:
                done.more = True
                return
            if now - asked > ASK_AGAIN:
                used, asked = self._in_use(), now
            if used is None:
                return
            if used.holds(file) or not (may_go is None or file.path in may_go):
                continue
            if self._remove_file(file, unlinked):
                done.files += 1
                done.bytes += file.size

    def _remove_file(self, file: Entry, unlinked: _Unlinked) -> bool:
        try:
            status = os.lstat(file.path)
            now = entry_of(file.path, status)
            # By identity: a folder on the way may have been swapped for a link since. A file that has just lost
            # another of its names has changed by that alone; by its content, for a number may be given out anew.
            content = status.st_mtime_ns, status.st_size
            same = now == file or (now.identity == file.identity and unlinked.get(file.identity) == content)
            if not same or not stat.S_ISREG(status.st_mode):
                return False
            Path(file.path).unlink()
            if status.st_nlink > 1:
                unlinked[file.identity] = content
        except OSError as error:
            log.debug("temp file %s stays: %s", file.path, error)
            return False
        return True

    def _remove_folders(self, folders: Collection[Entry]) -> int:
        """Those that are empty now, inner ones first. Not beside a prompt: it may be about to write into one."""
        if self._host.running_since() is not None:
            return 0
        removed = 0
        for folder in reversed(tuple(folders)):
            try:
                status = os.lstat(folder.path)
                same = (status.st_dev, status.st_ino) == folder.identity and stat.S_ISDIR(status.st_mode)
                if same and not os.path.ismount(folder.path):
                    Path(folder.path).rmdir()  # refuses what is not empty
                    removed += 1
            except OSError:
                continue
        return removed

"""One process at a time keeps the journal of a user directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

FILE = "journal.lock"


class Taken(OSError):  # noqa: N818 - it names what was found
    """Another process keeps the journal."""


class JournalLock:
    """A lock of the operating system on `journal.lock`: it ends with its process, however that ends.

    A process id in a file alone would not do: ids come again after a restart, and two containers that share a folder
    may both be process 1. The id is in it for the message.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._handle: int | None = None
        self.before: int | None = None
        """The process that had it last; None where there was none."""

    def take(self) -> None:
        """Take it.

        Raises:
            Taken: another process has it; the message tells which.
            OSError: the file cannot be made or locked.
        """
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(handle)
        except OSError as error:
            os.close(handle)
            if isinstance(error, (BlockingIOError, PermissionError)):
                raise Taken(f"{self._owner()} keeps the journal in {self._path.parent}") from None
            raise
        self._handle = handle
        os.lseek(handle, 1, os.SEEK_SET)
        last = os.read(handle, 10).strip()
        self.before = int(last) if last.isdigit() else None
        # From the second byte on: the first is locked, and on Windows nobody else could read it.
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, f" {os.getpid():<10}".encode())

    def release(self) -> None:
        """Give it back. The file stays: to remove it would race with who opens it now."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _owner(self) -> str:
        try:
            with self._path.open("rb") as file:
                file.seek(1)
                return f"another process ({int(file.read(10))})"
        except (OSError, ValueError):
            return "another process"


def _byte_range() -> Callable[[int], None]:
    if sys.platform == "win32":
        import msvcrt

        # Mandatory there: the locked byte cannot be read by others, so the text begins after it.
        return lambda handle: msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    import fcntl

    return lambda handle: fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)


_lock = _byte_range()

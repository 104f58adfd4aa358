"""What the journal was told and SQLite does not hold yet, in pages of memory that survive the process.

A synced transaction takes 0.2 to 0.4 ms, on the event loop for each prompt that is queued, and twice on the worker's
thread. A copy into a shared mapping takes some microseconds, and it survives a kill −9: the pages belong to the file,
not to the process. So a record is first here, then acted on, and SQLite takes many of them over in one transaction soon
after. After a death the next process takes over what is left. A power cut is another matter: see `sync`.

Each record: header (number, length, CRC-32), then JSON `[[name, [values]], …]`, names from `journal_sql.BY_NAME`.
Numbers grow for ever; a record counts if it is whole and its number is one above that of the record before it.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..compact import ENCODE
from .sql import BY_NAME, NAMES

FILE = "journal.redo"

SIZE = 4 * 1024**2
"""Bytes of the file: some hundred prompts of a large workflow, until SQLite has taken them over."""

HEADER = struct.Struct("<QII")
"""Number, length and CRC-32 of the JSON text behind it."""

Statement = tuple[str, tuple[Any, ...]]


class Redo:
    """One process's; not for several threads at once, the store sees to that.

    Args:
        folder: where the file lies.
        size: of the file, in bytes.

    Raises:
        OSError, ValueError: it cannot be made or mapped.
    """

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        self._size = size
        self._handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            self._lengthen(os.fstat(self._handle).st_size)
            self._map = mmap.mmap(self._handle, size)
        except BaseException:
            os.close(self._handle)
            raise
        self._end = 0
        self.number = 0
        """Of the last record."""

    def left(self, applied: int) -> list[Statement]:
        """What the last process left and SQLite, which holds all up to number `applied`, does not have."""
        found: list[Statement] = []
        self.number = applied
        for number, end, statements in self._records():
            self._end = end
            if number > applied:
                self.number = number
                found += statements
        return found

    def append(self, statements: Sequence[Statement]) -> bool:
        """Keep them; False where they are of a kind that is not kept here, or there is no room."""
        try:
            named = [(NAMES[sql], values) for sql, values in statements]
        except KeyError:
            return False
        text = ENCODE(named).encode()
        begin, end = self._end + HEADER.size, self._end + HEADER.size + len(text)
        if end > self._size:
            return False
        # The header last: a kill in between leaves what was here before, whose number is too low to count.
        self._map[begin:end] = text
        self.number += 1
        HEADER.pack_into(self._map, self._end, self.number, len(text), zlib.crc32(text))
        self._end = end
        return True

    @property
    def filled(self) -> float:
        """Share of the file that holds records."""
        return self._end / self._size

    def begin_again(self) -> None:
        """SQLite holds everything: forget it."""
        self._end = 0
        HEADER.pack_into(self._map, 0, 0, 0, 0)

    def sync(self) -> None:
        """Bring all of it onto the disk, so that a power cut does not take it either. Any thread.

        Raises:
            OSError: the disk does not take it.
        """
        if sys.platform == "linux":
            os.fdatasync(self._handle)  # takes pages of a mapping, too, and lets other threads run meanwhile
        else:
            self._map.flush()
            os.fsync(self._handle)

    def close(self) -> None:
        """Unmap it."""
        self._map.close()
        os.close(self._handle)

    def _lengthen(self, length: int) -> None:
        """Written, not only lengthened: a hole that a full disk cannot fill would kill us at a later write."""
        missing = max(0, self._size - length)
        os.lseek(self._handle, length, os.SEEK_SET)
        try:
            if os.write(self._handle, bytes(missing)) < missing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._handle, length)
            raise

    def _records(self) -> Iterator[tuple[int, int, list[Statement]]]:
        at, last = 0, None
        while at + HEADER.size <= self._size:
            number, length, check = HEADER.unpack_from(self._map, at)
            begin, end = at + HEADER.size, at + HEADER.size + length
            if not length or end > self._size or (last is not None and number != last + 1):
                return
            text = self._map[begin:end]
            if zlib.crc32(text) != check:
                return
            try:
                # A name of another version is left out: what it meant is not known here.
                known = [(BY_NAME[name], tuple(values)) for name, values in json.loads(text) if name in BY_NAME]
            except (ValueError, TypeError, RecursionError):  # whole, and yet none of ours: no kill leaves that behind
                return
            yield number, end, known
            at, last = end, number

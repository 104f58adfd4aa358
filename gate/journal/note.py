"""What runs at this moment, in a page of memory that the kernel keeps for us however the process dies.

A commit for each node would cost a prompt of three hundred nodes a third of a second. A shared mapping costs a copy:
what was written to it survives a kill −9, because the page belongs to the file, not to the process. Only a crash of
the whole machine may lose it, and then it is the last node's name that is lost, not a job.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

FILE = "journal.running"

SIZE = 16 * 1024
"""Bytes of the file: a note takes a few hundred, and a path for each output node."""

QUOTED = json.encoder.encode_basestring_ascii
"""A text as JSON. A note is written before each node, and an encoder for the whole of it takes three times as long."""

LONGEST = 200
"""Characters of an id or a node's name, where a note would not fit otherwise."""

HEADER = struct.Struct("<II")
"""Length and CRC-32 of the JSON text behind it."""

WRITING = ([str, int, int, str], [str, int])
"""Types of what is noted of an output node; the second as an earlier version noted it."""


class Note(NamedTuple):
    """The running job."""

    job: str = ""
    node: str = ""
    """Id and class of the node that runs."""
    ram: int = 0
    """The most bytes resident that were seen while it ran."""
    vram: Mapping[str, int] = MappingProxyType({})
    """The same of each device."""
    writing: Mapping[str, Sequence[str | int]] = MappingProxyType({})
    """Output node → what it was about to write, see `finished.Saves`."""


class RunningNote:
    """Keeps one `Note` in `journal.running`. Not for several threads at once; the journal sees to that.

    Raises:
        OSError: the file cannot be made or mapped.
    """

    def __init__(self, folder: Path) -> None:
        handle = os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(handle).st_size < SIZE:
                # Written, not only lengthened: a hole that a full disk cannot fill would kill us at a later write.
                os.write(handle, bytes(SIZE))
            self._map = mmap.mmap(handle, SIZE)
        finally:
            os.close(handle)

    def read(self) -> Note:
        """What the last process left; an empty note where that cannot be told."""
        length, check = HEADER.unpack_from(self._map)
        text = self._map[HEADER.size : HEADER.size + min(length, SIZE)]
        if zlib.crc32(text) != check:
            return Note()
        try:
            return _note(json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return Note()

    def write(self, note: Note) -> None:
        """Replace it."""
        text = _json(note).encode()
        if len(text) > SIZE - HEADER.size:
            text = json.dumps({"job": note.job[:LONGEST], "node": note.node[:LONGEST], "ram": note.ram}).encode()
        self._map[HEADER.size : HEADER.size + len(text)] = text
        HEADER.pack_into(self._map, 0, len(text), zlib.crc32(text))

    def close(self) -> None:
        """Unmap it."""
        self._map.close()


def _json(note: Note) -> str:
    more = ""
    if note.vram or note.writing:
        more = f',"vram":{json.dumps(dict(note.vram))},"writing":{json.dumps(dict(note.writing))}'
    return f'{{"job":{QUOTED(note.job)},"node":{QUOTED(note.node)},"ram":{note.ram}{more}}}'


def _note(known: dict[str, Any]) -> Note:
    """The note that JSON tells; what is of another type than it should be counts as not told.

    Raises:
        TypeError: it is no object, or has a field that is none of ours.
    """
    note = Note(**known)
    return Note(
        note.job if isinstance(note.job, str) else "",
        note.node if isinstance(note.node, str) else "",
        note.ram if isinstance(note.ram, int) else 0,
        {d: b for d, b in _items(note.vram) if isinstance(b, int)},
        {n: w for n, w in _items(note.writing) if isinstance(w, list) and list(map(type, w)) in WRITING},
    )


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else ()

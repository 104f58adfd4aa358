"""Whether a node that was writing its results when the process died had written them whole.

Between the last byte of a clip or a picture and the journal's word that its job is done lie some milliseconds. A kill
−9 within them must not make it twice. So what a saving node is about to write is noted before it runs, and after the
restart the files themselves are looked at. Only what can be proven counts: mp4 and PNG files of nodes that are known to
write exactly so many.
"""

from __future__ import annotations

import os
import re
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

from .host import NodeStart

WRITES = {"SaveVideo": ".mp4", "SaveImage": ".png"}
"""Classes that write `<filename_prefix>_<number>_`, five digits at least, with this ending below the output folder, and
nothing else: one file a run, or one for each picture that they are given."""

LEAVES_NOTHING = frozenset({"PreviewImage", "PreviewAny"})
"""Output nodes whose results a new process does not show anyway."""

PNG_BEGIN, PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
"""Signature, and the empty chunk that is written last (PNG specification, 5.2 and 11.2.5)."""

BOX = struct.Struct(">I4s")
"""Size, header included, and type of a box (ISO/IEC 14496-12, 4.2)."""

LONG = struct.Struct(">Q")


KEPT = 64
"""Prefixes whose highest number is remembered; the one that was asked for longest ago is forgotten."""


class Saves:
    """What saving nodes are about to write. Not for several threads at once.

    ComfyUI counts on from the highest number of a prefix, for which it goes through the folder. We do so once for a
    prefix: people keep ten thousand pictures in one, and to go through those takes as long as to save another. After
    that the next number follows from the last, as long as the last file is there and none behind it.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self._next: OrderedDict[str, tuple[int, str]] = OrderedDict()
        """By path without number: the highest number once its last node has written all, and the ending of that."""

    def about_to_write(self, node: NodeStart) -> tuple[str, int, int, str] | None:
        """The path without its number, the highest number that is there, how many files will follow, and their ending.

        None where nothing could be proven later.
        """
        ending = WRITES.get(node.class_type)
        if ending is None or node.runs != 1:
            return None
        prefix: Any = node.inputs.get("filename_prefix")
        images: Any = node.inputs.get("images")
        count = 1 if ending == ".mp4" else len(images) if hasattr(images, "__len__") else 0
        # Placeholders for the date stand for something else at each look.
        if not count or not isinstance(prefix, str) or "%" in prefix:
            return None
        start = os.path.normpath(self._output / prefix.replace("\\", "/"))
        highest = self._highest(start)
        self._next[start] = highest + count, ending
        if len(self._next) > KEPT:
            self._next.popitem(last=False)
        return start, highest, count, ending

    def _highest(self, start: str) -> int:
        highest, ending = self._next.pop(start, (0, ""))
        as_left = ending and _path(start, highest, ending).exists()
        if as_left and not any(_path(start, highest + 1, e).exists() for e in WRITES.values()):
            return highest
        return highest_number(start)


def highest_number(start: str) -> int:
    """The highest in the names that begin with `<start>_<number>`, as ComfyUI counts; 0 where there is none."""
    folder, head = os.path.split(start)
    try:
        # No name holds a slash, on no system; and one pattern on all takes a fifth of one on each.
        names = "/" + "/".join(os.listdir(folder))  # noqa: PTH208 - names are wanted, and no path is as cheap
    except OSError:
        return 0
    if os.name == "nt":
        head, names = head.lower(), names.lower()
    numbers = re.findall(rf"/{re.escape(head)}_(\d+)(?![^_./])", names)
    return max(map(int, numbers), default=0)


def was_written(start: str, highest: int, count: int = 1, ending: str = ".mp4") -> bool:
    """Whether the files that follow that number are there, and whole."""
    whole = is_whole_mp4 if ending == ".mp4" else is_whole_png
    return all(whole(_path(start, highest + n, ending)) for n in range(1, count + 1))


def _path(start: str, number: int, ending: str) -> Path:
    return Path(f"{start}_{number:05}_{ending}")


def is_whole_png(path: Path) -> bool:
    """Whether a file begins and ends as a PNG does."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(PNG_BEGIN)) == PNG_BEGIN
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(PNG_END)))
            return begins and size > len(PNG_BEGIN) + len(PNG_END) and file.read() == PNG_END
    except OSError:
        return False


def is_whole_mp4(path: Path) -> bool:
    """Whether the boxes of a file fill it exactly, with its index (`moov`) among them.

    A muxer writes the index last and then the size of the data before it: until both are there this does not add up.
    """
    try:
        with path.open("rb") as file:
            end = os.fstat(file.fileno()).st_size
            at, kinds = 0, set()
            while at < end:
                file.seek(at)
                header = file.read(BOX.size + LONG.size)
                if len(header) < BOX.size:
                    return False
                size, kind = BOX.unpack_from(header)
                if size == 1 and len(header) == BOX.size + LONG.size:
                    size = LONG.unpack_from(header, BOX.size)[0]
                if size < BOX.size:
                    return False
                at += size
                kinds.add(kind)
            return at == end and {b"ftyp", b"moov"} <= kinds
    except OSError:
        return False

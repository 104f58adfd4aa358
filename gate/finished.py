"""Whether a node that was writing a clip when the process died had written it whole.

Between the last byte of a clip and the journal's word that its job is done lie some milliseconds. A kill −9 within them
must not make the clip twice. So what a saving node is about to write is noted before it runs, and after the restart the
file itself is looked at. Only what can be proven counts: a single mp4 of a node known to write exactly one.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

from .host import NodeStart

WRITES_ONE_FILE = frozenset({"SaveVideo"})
"""Classes that write `<filename_prefix>_<number>_.mp4` below the output folder, one a run, and nothing else."""

BOX = struct.Struct(">I4s")
"""Size, header included, and type of a box (ISO/IEC 14496-12, 4.2)."""

LONG = struct.Struct(">Q")


def about_to_write(output: Path, node: NodeStart) -> tuple[str, int] | None:
    """The path without its number, and the highest number that is there; None where nothing could be proven later."""
    prefix = node.inputs.get("filename_prefix")
    # Placeholders for the date stand for something else at each look.
    if node.class_type not in WRITES_ONE_FILE or node.runs != 1 or not isinstance(prefix, str) or "%" in prefix:
        return None
    start = os.path.normpath(output / prefix.replace("\\", "/"))
    return start, max((number for number, _ in _numbered(Path(start))), default=0)


def was_written(start: str, highest: int) -> bool:
    """Whether a later one than that number is there, and whole."""
    return any(number > highest and is_whole_mp4(path) for number, path in _numbered(Path(start)))


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


def _numbered(start: Path) -> list[tuple[int, Path]]:
    number = re.compile(re.escape(start.name) + r"_(\d+)_?\.mp4$", re.IGNORECASE)
    try:
        entries = list(os.scandir(start.parent))
    except OSError:
        return []
    return [(int(found[1]), Path(entry.path)) for entry in entries if (found := number.match(entry.name))]

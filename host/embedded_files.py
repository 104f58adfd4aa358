"""The embedded host's folders: safe names inside them, and files that appear whole or not at all."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import psutil

log = logging.getLogger(__name__)

PART = re.compile(r"^\..+\.(\d+)\.part$")
"""Name of a file still being written: hidden, with the id of the process that writes it."""


class UnsafePath(ValueError):  # noqa: N818 - it names what happened, as a person would
    """A name that leads out of its folder."""


class Folders:
    """`input`, `output`, `temp` and `user` under one base folder, made where they are missing.

    Nothing in them is removed at the start but half-written files of processes that are gone.

    Raises:
        OSError: they cannot be made.
    """

    def __init__(self, base: Path) -> None:
        self.base = base.resolve()
        self.input = self.base / "input"
        self.output = self.base / "output"
        self.temp = self.base / "temp"
        self.user = self.base / "user"
        for folder in (self.input, self.output, self.temp, self.user):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.output, self.temp):
            remove_parts(folder)

    def of_type(self, name: str) -> Path | None:
        """The folder that ComfyUI's API calls `input`, `output` or `temp`; None for any other name."""
        return {"input": self.input, "output": self.output, "temp": self.temp}.get(name)

    def find(self, kind: str, subfolder: str, filename: str) -> Path:
        """The path of a file that a client names.

        Raises:
            UnsafePath: it would lie outside its folder, by `..`, a drive, or a link.
            KeyError: there is no folder of that kind.
        """
        root = self.of_type(kind)
        if root is None:
            raise KeyError(kind)
        return inside(root, PurePosixPath(subfolder.replace("\\", "/")) / filename.replace("\\", "/"))


def inside(root: Path, relative: str | PurePosixPath) -> Path:
    """`root / relative`, resolved.

    Raises:
        UnsafePath: that is not below `root`.
    """
    root = root.resolve()
    try:
        path = (root / relative).resolve()
    except (OSError, ValueError) as error:  # a null byte, a loop of links
        raise UnsafePath(f"{str(relative)!r}: {error}") from None
    if path == root or not path.is_relative_to(root):
        raise UnsafePath(f"{str(relative)!r} is not inside its folder")
    return path


def next_name(folder: Path, prefix: str, width: int, height: int) -> tuple[Path, str, int]:
    """Where files with this prefix go: `(folder, name, first free number)`, as ComfyUI numbers its outputs.

    `prefix` may hold a subfolder and `%width%`, `%height%`, `%year%`, `%month%`, `%day%`, `%hour%`, `%minute%`,
    `%second%`; files are then called `name_00001_.ext`.

    Raises:
        UnsafePath: the prefix leads out of `folder`, or is empty.
    """
    now = time.localtime()
    values = {
        "width": str(width),
        "height": str(height),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    for name, value in values.items():
        prefix = prefix.replace(f"%{name}%", value)
    path = inside(folder, prefix.replace("\\", "/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    number = re.compile(re.escape(path.name) + r"_(\d+)", re.IGNORECASE if os.name == "nt" else 0)
    taken = [int(m[1]) for entry in os.scandir(path.parent) if (m := number.match(entry.name))]
    return path.parent, path.name, max(taken, default=0) + 1


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes `target` when the block ends well and vanishes when it does not."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def remove_parts(folder: Path) -> None:
    """Remove half-written files below `folder` whose process is gone: killed while it wrote them."""
    for path in folder.rglob(".*.part"):
        found = PART.match(path.name)
        if found is None or not path.is_file() or path.is_symlink():
            continue
        if int(found[1]) == os.getpid() or not psutil.pid_exists(int(found[1])):
            log.info("removed %s: half-written, and its process is gone", path.name)
            path.unlink(missing_ok=True)

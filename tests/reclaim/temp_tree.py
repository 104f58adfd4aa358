"""A temp folder's files for tests, and a wall clock ahead of them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HOUR = 3600.0
HAS_PROC = Path("/proc/self/fd").is_dir()
needs_proc = pytest.mark.skipif(not HAS_PROC, reason="this system does not tell of open files by /proc")


@dataclass
class Wall:
    """Seconds since the epoch, so far ahead that what was written just now is `ahead` seconds old."""

    ahead: float = 2 * HOUR
    start: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.start + self.ahead


def write(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def clean(cleaner):
    return cleaner.remove(cleaner.find())


def odd_names(temp: Path) -> list[Path]:
    names = [
        "new\nline.png",
        "-rf",
        "ünï😀.png",
        " space ",
        "..hidden",
        "%2e%2e",
        "*",
        "a" * 250 + ".png",
        "\\",
        "$(id)",
    ]
    return [*(temp / n for n in names), Path(os.fsdecode(bytes(temp) + b"/bad\xff.png"))]

"""How each life of a supervised server ended: a line for people, and one of JSON in a file of bounded size."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from ...gate.private_file import private

FILE = "exits.jsonl"
MAX_BYTES = 256 * 1024
"""From here on the older half is dropped: at 400 bytes a line that keeps the last 320 ends at the least."""


class Reason(str, Enum):
    """Why a life ended."""

    ASKED = "asked"
    """The user told the supervisor to stop."""
    OOM_KILL = "oom kill"
    """The kernel killed it for memory, or we did where the kernel holds no limit for us."""
    SIGNAL = "signal"
    """Another signal ended it."""
    CODE = "code"
    """It ended by itself."""
    HANG = "hang"
    """It was ended by us: it answered no more, or ran no prompts any more."""
    LEAK = "leak"
    """It was ended by us between jobs: it holds memory that cannot be freed."""
    REBOOT = "reboot"
    """It asked to be started again, as ComfyUI-Manager's restart button does."""


@dataclass(frozen=True)
class Exit:
    """One end.

    Attributes:
        time: seconds since the epoch.
        pid: the process that ended.
        reason: why.
        detail: the same in words.
        code: the exit code; None where a signal ended it.
        signal: the name of that signal; empty where there was none.
        uptime: seconds from its start.
        jobs: ids of the prompts that ran when it was last looked at.
        node: the node that ran then.
        peak: most bytes that it held, as far as known.
        restart_in: seconds until it is started again; None where it is not.
    """

    time: float
    pid: int
    reason: Reason
    detail: str
    code: int | None
    signal: str
    uptime: float
    jobs: tuple[str, ...] = ()
    node: str = ""
    peak: int | None = None
    restart_in: float | None = None

    def as_json(self) -> str:
        """One line, without its end."""
        return json.dumps(asdict(self), ensure_ascii=False)


class ExitLog:
    """Appends to `exits.jsonl` in `folder`; that an end cannot be written is told once, and the next one tried again.

    Args:
        folder: made when the first line is written; None writes nowhere.
        say: takes a line for the user.
        max_bytes: the size from which the older half is dropped.
    """

    def __init__(self, folder: Path | None, say: Callable[[str], None], max_bytes: int = MAX_BYTES) -> None:
        self._path = None if folder is None else folder / FILE
        self._say = say
        self._max_bytes = max_bytes
        self._told = self._torn = False

    def add(self, end: Exit) -> None:
        """Write one line, on the disk before this returns: the next life reads it."""
        path = self._path
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "a", encoding="utf-8", newline="\n", opener=private) as file:
                # A disk that filled up may have taken half a line: it must not swallow this one.
                file.write("\n" * self._torn + end.as_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
            self._torn = False
            if path.stat().st_size > self._max_bytes:
                self._shorten(path)
        except OSError as error:
            self._torn = True
            if not self._told:
                self._told = True
                self._say(f"how the server ends cannot be written to {path} ({error}); it is told here all the same")

    @staticmethod
    def _shorten(path: Path) -> None:
        lines = path.read_bytes().splitlines(keepends=True)
        shorter = path.with_suffix(".tmp")
        with open(shorter, "wb", opener=private) as file:
            file.write(b"".join(lines[len(lines) // 2 :]))
        shorter.replace(path)

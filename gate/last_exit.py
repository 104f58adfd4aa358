"""How the process before this one ended, where a supervisor watched it and wrote it down."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

FILE = "exits.jsonl"
"""A line of JSON for each end, the last one last; `resource-gate run` writes it."""

TAIL = 64 * 1024
"""Bytes of its end that are looked at."""

NOT_THE_JOBS = frozenset({"asked", "reboot"})
"""Reasons for which nobody blames the job that ran: the user asked for the end, or for a restart."""


class LastExit(NamedTuple):
    """One end."""

    reason: str
    detail: str
    """In words."""
    peak: int | None = None
    """Most bytes that the process held, where that was what ended it."""
    time: float | None = None
    """Seconds since the epoch."""

    def is_of(self, started: Any) -> bool:
        """Whether it may be the end of what was started at that time.

        In a container each life has the same process id; and who kills a container kills the one who writes down ends.
        """
        return not (isinstance(started, (int, float)) and self.time is not None and self.time < started)

    @property
    def blames_the_job(self) -> bool:
        """Whether it counts as a death of the process by what ran."""
        return self.reason not in NOT_THE_JOBS


def last_exit(folder: Path, pid: int | None) -> LastExit | None:
    """How the process `pid` ended; None where nobody wrote it down, or a later one is the last."""
    try:
        with (folder / FILE).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().splitlines()
        found = json.loads(lines[-1]) if lines else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or pid is None or found.get("pid") != pid:
        return None
    reason, peak, time = str(found.get("reason", "")), found.get("peak"), found.get("time")
    return LastExit(
        reason,
        str(found.get("detail", "")),
        peak if reason == "oom kill" and isinstance(peak, int) else None,
        time if isinstance(time, (int, float)) else None,
    )

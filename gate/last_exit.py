"""How the process before this one ended, where a supervisor watched it and wrote it down."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

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
    reason, peak = str(found.get("reason", "")), found.get("peak")
    return LastExit(
        reason,
        str(found.get("detail", "")),
        peak if reason == "oom kill" and isinstance(peak, int) else None,
    )

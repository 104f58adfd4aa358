"""What the demo prints: plain lines into a file, one line that updates itself on a terminal, and the table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TextIO

from ..client import ClientError
from .trial import Progress, TrialResult

MIB = 1024**2
BAR = 24
"""Characters of the memory bar."""
STATUS_INTERVAL = 1.0
"""Seconds between two asks for the gate's status; the panel asks as often."""
WIDTH = 100
"""Characters of the updating line; longer text is cut, for a line that wraps cannot be overwritten."""


def bar(used: int, limit: int, width: int = BAR) -> str:
    """Return `[#####-----]  812/2300 MB`, both in MiB."""
    filled = min(width, round(width * used / limit)) if limit else 0
    return f"[{'#' * filled}{'-' * (width - filled)}] {used // MIB:>5}/{limit // MIB} MB"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under a head, the first column left, the others right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        rest = (text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
        return "  ".join([row[0].ljust(widths[0]), *rest]).rstrip()

    return "\n".join([line(head), "  ".join("-" * width for width in widths), *map(line, rows)])


def result_row(name: str, result: TrialResult) -> list[str]:
    """Return a variant's line of the table: clips done, deaths, peak in MiB, wall in seconds."""
    done = f"{result.done}/{result.total}"
    return [name, done, str(result.deaths), str(result.anonymous_peak // MIB), f"{result.wall:.1f}"]


RESULT_HEAD = ("variant", "clips done", "deaths", "peak MB", "wall s")


class View:
    """Shows the progress of one batch.

    Args:
        out: where to.
        limit: bytes, for the bar.
        gated: whether to ask the server for the gate's status.
    """

    def __init__(self, out: TextIO, limit: int, *, gated: bool) -> None:
        self._out, self._limit, self._gated = out, limit, gated
        self._updating = out.isatty()
        self._told: tuple[Any, ...] = ()
        self._asked = float("-inf")
        self._status: dict[str, Any] = {}
        self._action_at, self._action_time = -1, 0.0
        self._opened = False

    def show(self, progress: Progress) -> None:
        """Show where the batch stands; called at every look."""
        if self._gated and not self._opened:
            self._opened = True
            self.say(f"  panel: {progress.server.url}/ (while this runs)")
        self._ask(progress)
        used = progress.server.child.anonymous if progress.server.alive else 0
        action = self._status.get("last_action") or {}
        if action.get("time", 0) > self._action_time and progress.ended != self._action_at:
            # One a clip: enough to see what it does.
            self._action_time, self._action_at = action["time"], progress.ended
            self.say(f"  gate: {action['text']}")
        if self._updating:
            self._out.write("\r" + self._line(progress, used)[:WIDTH].ljust(WIDTH))
            self._out.flush()
        elif (now := (progress.ended, progress.deaths, progress.running)) != self._told:
            self._told = now
            self.say(self._line(progress, used))

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if self._updating:
            self._out.write("\r" + " " * WIDTH + "\r")
        self._out.write(text + "\n")
        self._out.flush()

    def end(self) -> None:
        """Leave the updating line."""
        if self._updating:
            self._out.write("\r" + " " * WIDTH + "\r")
            self._out.flush()

    def _line(self, progress: Progress, used: int) -> str:
        number = min(progress.ended + 1, progress.total)
        parts = [f"  clip {number} of {progress.total}", bar(used, self._limit), f"deaths {progress.deaths}"]
        gate = self._status.get("gate") or {}
        if self._gated and self._status:
            parts.append(f"level {self._status.get('level')}")
            parts.append(f"gate {gate.get('state')}" + (f": {gate['reason']}" if gate.get("reason") else ""))
        return "  ".join(parts)

    def _ask(self, progress: Progress) -> None:
        if not self._gated or time.monotonic() - self._asked < STATUS_INTERVAL:
            return
        self._asked = time.monotonic()
        try:
            self._status = progress.server.client.status() or {}
        except ClientError:
            self._status = {}  # the server is on its way down or up; the trial sees that too

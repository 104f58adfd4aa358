"""A batch on a terminal: what runs and what waits, how far it is, memory against its tiers (needs rich)."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .lines import Lines
from .state import BatchState, Memory, RunningJob
from .wording import duration, remaining, size

REFRESH = 4
"""Redraws a second: the clocks of what waits go on without events."""
BAR_WIDTH = 30
STYLES = {"normal": "green", "warning": "yellow", "critical": "red", "emergency": "bold red"}
SHOWN_REASONS = 3
"""Why jobs are held back: the reasons of most jobs."""
SHOWN_SERVERS = 8
"""Memory bars that fit on a terminal; the fullest are shown."""


class RichView:
    """Draws the batch at the bottom, and writes what has ended above it.

    Args:
        out: a terminal.
        console: instead of one on `out`, for tests and for recording.
        clock: epoch seconds.
    """

    def __init__(
        self, out: TextIO | None = None, console: Console | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._console = console or Console(file=out)
        self._clock = clock
        self._state = BatchState()
        self._lines = Lines()
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._live: Live | None = None
        self._open = True

    def on(self, event: Mapping[str, Any]) -> None:
        """Take one event in; what is worth keeping goes above the drawing."""
        with self._lock:
            if not self._open:
                return
            self._state.apply(event)
            line = self._lines.line(event, self._state)
        live = self._started()
        if line and event.get("event") not in ("job_started", "memory"):
            # These two are drawn; in the scroll-back they would only be noise.
            live.console.print(Text(line, style=_line_style(event)))

    def _started(self) -> Live:
        # Not under the state's lock: the drawing thread holds Live's own and then asks for that one.
        with self._starting:
            if self._live is None:
                self._live = Live(
                    console=self._console,
                    get_renderable=self.render,
                    refresh_per_second=REFRESH,
                    transient=True,
                    # What others write to the same terminal goes above the drawing; what goes to a file goes there.
                    redirect_stderr=sys.stderr.isatty(),
                )
                self._live.start()
            return self._live

    def close(self) -> None:
        """Take the drawing away; the lines above it stay."""
        with self._lock:
            self._open = False
        if self._live is not None:
            self._live.stop()

    def render(self) -> RenderableType:
        """Draw the batch as it is now."""
        with self._lock:
            now = self._clock()
            parts: list[RenderableType] = [self._head(now)]
            if self._state.running:
                parts.append(_running_table(list(self._state.running.values()), now))
            fullest = sorted(self._state.memory.items(), key=lambda item: item[1].fraction, reverse=True)
            parts += [_memory_line(server, memory) for server, memory in fullest[:SHOWN_SERVERS]]
            for server in sorted(self._state.troubled):
                parts.append(Text(f"{server}: {self._state.servers[server]}", style="yellow"))
            parts += _held_lines(self._state.held)
            return Group(*parts)

    def _head(self, now: float) -> RenderableType:
        state = self._state
        ended = state.done + state.failed
        text = Text(f"{ended} of {state.total}")
        if state.failed:
            text.append(f", {state.failed} failed", style="red")
        if state.retried:
            text.append(f", {state.retried} retried", style="yellow")
        if state.started is not None:
            text.append(f" · {duration(now - state.started)}", style="dim")
        left = remaining(state.eta(now)) if state.left or state.running else ""
        if left:
            text.append(f" · {left}")
        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(total=max(1, state.total), completed=ended, width=BAR_WIDTH), text)
        return row


def _running_table(jobs: list[RunningJob], now: float) -> Table:
    table = Table.grid(padding=(0, 2))
    several = len({job.server for job in jobs}) > 1
    for job in jobs:
        doing = Text(f"waits: {job.waiting}", style="yellow") if job.waiting else Text(job.node or "starting")
        if not job.waiting and job.fraction is not None:
            doing.append(f" {job.fraction:.0%}", style="cyan")
        name = Text(job.name, style="bold")
        if job.tries > 1:
            name.append(f" (try {job.tries})", style="yellow")
        cells: list[RenderableType] = [Text("▸"), name, Text(duration(now - job.started), style="dim"), doing]
        if several:
            cells.append(Text(job.server, style="dim"))
        table.add_row(*cells)
    return table


def _held_lines(held: Mapping[int, str]) -> list[RenderableType]:
    """Say how many jobs are held back, by reason."""
    counts = Counter(held.values()).most_common(SHOWN_REASONS)
    return [Text(f"{count} held back: {reason}", style="yellow") for reason, count in counts]


def _memory_line(server: str, memory: Memory) -> Text:
    """Draw memory as a bar with a mark at each tier; the level also stands as a word."""
    marks = {min(BAR_WIDTH - 1, int(tier * BAR_WIDTH)): level for level, tier in memory.tiers.items()}
    filled = round(min(1.0, max(0.0, memory.fraction)) * BAR_WIDTH)
    style = STYLES.get(memory.level, "")
    text = Text("memory ")
    for cell in range(BAR_WIDTH):
        if cell in marks:
            text.append("┃" if cell < filled else "│", style=STYLES.get(marks[cell], ""))
        else:
            text.append("█" if cell < filled else "·", style=style if cell < filled else "dim")
    text.append(f" {memory.fraction:.0%} of {size(memory.limit)}")
    text.append(f", {memory.level}", style=style)
    if server:
        text.append(f"  {server}", style="dim")
    return text


def _line_style(event: Mapping[str, Any]) -> str:
    if event.get("event") == "job_ended":
        return "green" if event.get("ok") else "red"
    return "yellow" if event.get("event") in ("retry", "reconnect", "server") else ""

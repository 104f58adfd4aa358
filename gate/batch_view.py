"""The batch as the panel shows it: its state in a word, and what runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .admission import GateState
from .brake import JobPeak
from .host import QueueHost
from .job_story import JobStories
from .journal.rows import JournalRows
from .progress import BatchProgress
from .stop_after import StopAfterCurrent


class BatchView:
    """Any thread; costs a few dictionaries.

    Args:
        gate: the gate's state.
        peak: the highest memory of the running job so far.
    """

    def __init__(
        self,
        host: QueueHost,
        gate: Callable[[], GateState],
        progress: BatchProgress,
        stories: JobStories,
        stop: StopAfterCurrent,
        rows: JournalRows,
        peak: Callable[[], JobPeak],
    ) -> None:
        self._host = host
        self._gate = gate
        self._progress = progress
        self._stories = stories
        self._stop = stop
        self._rows = rows
        self._peak = peak

    def more(self) -> dict[str, Any]:
        """What `status.batch` has beside the counts of the progress."""
        gate = self._gate()
        return {
            "state": self._state(gate),
            "waiting_since": gate.since if gate.state == "waiting" else None,
            "stop_after_current": self._stop.asked,
            "restorable": self._rows.restorable,
            "quarantined": self._rows.quarantined,
            "set_aside": self._rows.aside,
        }

    def as_dict(self) -> dict[str, Any]:
        """As `status.batch`."""
        pending = self._host.view().pending
        return {"eta_low": None, "eta_high": None, **self._progress.as_dict(pending), **self.more()}

    def running(self) -> list[dict[str, Any]]:
        """The jobs that run."""
        view = self._host.view()
        peak = self._peak()
        return [
            {
                "id": story.id,
                "title": story.title,
                "node": view.node,
                "progress": view.progress,
                "started_at": story.started,
                "peak_ram": peak.ram or None,
                "peak_vram": {f"vram{device}": size for device, size in peak.vram.items()},
            }
            for story in self._stories.running()
        ]

    def _state(self, gate: GateState) -> str:
        if self._stop.asked:
            return "stopping"
        if gate.state == "paused":
            return "paused"
        if self._stories.running():
            return "running"
        return "waiting" if gate.state == "waiting" else "idle"

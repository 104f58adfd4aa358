"""What the gate and the ladder add to the monitor's Prometheus text."""

from __future__ import annotations

from collections.abc import Callable

from ..gate.admission import GateState
from ..gate.host import QueueHost
from ..gate.progress import BatchProgress
from ..monitor.metrics import Metric, counter, gauge, prometheus
from ..monitor.readings import Sample
from ..reclaim.action import ActionLog
from ..version import __version__

STATES = ("open", "waiting", "paused")


class Metrics:
    """Writes `GET /resource_gate/metrics`."""

    def __init__(
        self,
        host: QueueHost,
        sample: Callable[[], Sample],
        gate: Callable[[], GateState],
        progress: BatchProgress,
        actions: ActionLog,
    ) -> None:
        self._host = host
        self._sample = sample
        self._gate = gate
        self._progress = progress
        self._actions = actions

    def text(self) -> str:
        """Prometheus text 0.0.4."""
        view, state = self._host.view(), self._gate().state
        done, failed = self._progress.totals
        alive = self._host.worker_alive()
        extra = (
            Metric("info", "1, with the versions as labels.", ((_versions(self._host), 1.0),)),
            gauge("queue_pending", "Prompts waiting in the queue.", view.pending),
            gauge("queue_running", "Prompts running.", len(view.running)),
            Metric(
                "gate_state",
                "1 for the state the gate is in.",
                tuple(({"state": s}, float(s == state)) for s in STATES),
            ),
            gauge("worker_alive", "1 while the thread that runs prompts lives.", None if alive is None else alive),
            counter("jobs_done_total", "Prompts that ended well.", done),
            counter("jobs_failed_total", "Prompts that failed or were interrupted.", failed),
            counter("actions_total", "Times memory was freed.", self._actions.count),
            counter("freed_bytes_total", "Bytes that came free by that.", self._actions.freed),
        )
        return prometheus(self._sample(), extra)


def _versions(host: QueueHost) -> dict[str, str]:
    return {"version": __version__, "host": host.name, "host_version": host.version}

"""What the panel is told: wired to the gate, the journal and the watchers, apart from the composition root."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .api.event_thread import EventThread
from .api.paths import Handlers
from .api.watch import Watchers
from .gate.batch_events import BatchEvents
from .gate.batch_view import BatchView
from .gate.gate import Gate
from .gate.host import QueueHost
from .gate.job_story import JobStories
from .gate.journal.journal import Journal
from .gate.observed import ObservedGate
from .gate.restore import Restore
from .gate.stop_after import StopAfterCurrent
from .reclaim.action import ActionLog
from .settings import SettingsStore

if TYPE_CHECKING:
    from .reclaim.preview import FreePreview

News = tuple[str, list[str], "dict[str, Any] | None"]
"""The kind of an event, the ids that it is about, and with `batch_ended` the summary."""

TO_ALL = frozenset({"restored", "batch_ended"})
"""Kinds that a person is to hear of with the panel closed: sent to every tab, watching or not."""


class PanelFeed:
    """Build it after gate and journal; hand `listener` to the host instead of the gate."""

    def __init__(
        self,
        host: QueueHost,
        gate: Gate,
        journal: Journal,
        stories: JobStories,
        watchers: Watchers,
        actions: ActionLog,
        store: SettingsStore,
        preview: Callable[[], FreePreview],
    ) -> None:
        self._host = host
        self._gate = gate
        self._journal = journal
        self._stories = stories
        self._watchers = watchers
        self._actions = actions
        self._store = store
        self._preview = preview
        self._news = EventThread(self._send)
        self.stop_after = StopAfterCurrent(gate.admission.pause)
        self.events = BatchEvents(
            stories,
            self.stop_after,
            gate.progress,
            lambda: self._host.view().pending,
            lambda: gate.brake.job_peak.ram,
            self._tell,
        )
        self.listener = ObservedGate(gate, self.events)
        """What the host is to tell of prompts."""
        self.view = BatchView(
            host,
            lambda: gate.admission.state,
            gate.progress,
            stories,
            self.stop_after,
            journal.rows,
            lambda: gate.brake.job_peak.including(gate.brake.resident, {}),
        )

    def handlers(self, restore: Restore) -> Iterable[Handlers]:
        """Those of the routes of panel and batch."""
        # Here, and not above: ComfyUI's start need not wait for what only a request needs.
        from .api.batch import BatchRoutes
        from .api.panel import PanelRoutes
        from .gate.batch import Batch
        from .gate.retry_failed import RetryFailed

        retry = RetryFailed(self._journal.rows, self._host, self.listener.accepted)
        yield BatchRoutes(Batch(self._journal, restore, retry, self.view, self._stop, lambda: self.events.summary))
        yield PanelRoutes(self)

    def start(self) -> None:
        """Listen to what is freed, and send what is told."""
        self._actions.listen(self.events.on_action)
        self._news.start()

    def stop(self) -> None:
        """Send no more."""
        self._news.stop()

    def resumed(self) -> None:
        """The gate is open again by hand: what was to stop does not."""
        self.stop_after.undo()
        self.state_changed()

    def state_changed(self) -> None:
        """The gate, or what is to become of it, has changed."""
        self._tell("state", [], None)

    def restored(self, ids: Sequence[str]) -> None:
        """Prompts of an earlier process are in the queue again."""
        self._tell("restored", ids, None)

    # -- what the routes ask for

    def marks(self, since: float) -> dict[str, Any]:
        """Jobs of the last hour and actions, later than `since`, for the time line."""
        names = ("time", "level", "resource", "freed", "text", "cause", "rungs", "dry_run")
        actions = [a.as_dict() for a in self._actions.all() if a.time > since]
        return {"jobs": self._stories.marks(since), "actions": [{name: a[name] for name in names} for a in actions]}

    def costs(self) -> dict[str, Any]:
        """What freeing would bring and cost."""
        return self._preview().costs()

    def reset_settings(self, fields: Sequence[str] | None) -> dict[str, Any]:
        """Back to the defaults."""
        self._store.reset(fields)
        return self._store.view()

    def _stop(self) -> None:
        self.stop_after.ask()
        self.state_changed()

    def _tell(self, kind: str, ids: Sequence[str], summary: dict[str, Any] | None) -> None:
        if kind in TO_ALL or self._watchers.current():
            self._news.put((kind, list(ids), summary))

    def _send(self, news: News) -> None:
        kind, ids, summary = news
        event = {
            "kind": kind,
            "job": self._journal.rows.job(ids[0]) if len(ids) == 1 else None,
            "count": len(ids),
            "batch": self.view.as_dict(),
            "summary": summary,
        }
        for client in [None] if kind in TO_ALL else self._watchers.current():
            self._host.push("resource_gate.batch", event, client)

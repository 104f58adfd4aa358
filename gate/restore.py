"""What an earlier process left undone comes back: at once, when somebody says so, or not at all."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..settings import Settings
from .host import Queued, QueueHost
from .journal.rows import JournalRows
from .refusal import of_host, secret

log = logging.getLogger(__name__)

NOBODY = 60.0
"""Seconds after the worker's start. With `gate.restore` "ask", and nobody there to be asked until then (no panel has
asked for events), the start was headless: what was queued goes on by itself."""


def on_a_thread(work: Callable[[], None]) -> None:
    """Run `work` on a daemon thread that ends with it."""
    threading.Thread(target=work, name="resource-gate-restore", daemon=True).start()


class Restore:
    """Puts prompts of earlier processes back, with their ids and their places. Any thread but the event loop.

    Args:
        rows: of the journal.
        seen: whether a panel was open since the start.
        in_time: runs a function on the worker thread once prompts can run; every node is known then.
        later: runs a function after so many seconds, off the calling thread.
        about_to_wait: told of each prompt before it is in the queue again, so that its time is known.
        restored: told which prompts are in the queue again.
    """

    def __init__(
        self,
        rows: JournalRows,
        host: QueueHost,
        settings: Callable[[], Settings],
        seen: Callable[[], bool],
        in_time: Callable[[Callable[[], None]], None],
        *,
        start: Callable[[Callable[[], None]], None] = on_a_thread,
        later: Callable[[float, Callable[[], None]], None] | None = None,
        wall: Callable[[], float] = time.time,
        about_to_wait: Callable[[Queued], None] = lambda prompt: None,
        restored: Callable[[Sequence[str]], None] = lambda ids: None,
    ) -> None:
        self._rows = rows
        self._about_to_wait = about_to_wait
        self._restored = restored
        self._host = host
        self._settings = settings
        self._seen = seen
        self._in_time = in_time
        self._start = start
        self._later = later or in_a_while
        self._wall = wall
        self._one_at_a_time = threading.Lock()
        self._back: set[str] = set()

    def begin(self) -> None:
        """At the start, when the journal is open and before prompts come."""
        self._host.number_after(self._rows.highest_number())
        waiting, policy = self._rows.restorable, self._settings().gate.restore
        if not waiting:
            return
        told = {
            "now": "they are put back now",
            "ask": f"the panel asks; if none is opened within {NOBODY:.0f} s, they are put back (gate.restore is ask)",
            "never": "they stay in the journal (gate.restore is never)",
        }
        log.warning("%d prompts of an earlier process have not run to their end: %s", waiting, told[policy])
        if policy == "now":
            self._in_time(lambda: self._start(self._all))
        elif policy == "ask":
            self._in_time(lambda: self._later(NOBODY, self._unless_seen))

    def restore(self, ids: Sequence[str] | None = None) -> dict[str, Any]:
        """Put these back, or all: `{"restored": [ids], "refused": [{"id", "reason", "cause"}]}`; see `Refusal`."""
        restored: list[str] = []
        refused: list[dict[str, Any]] = []
        with self._one_at_a_time:
            for prompt, stripped in self._rows.to_restore(ids):
                if prompt.id in self._back:  # and the journal could not be written
                    continue
                refusal = secret(stripped) if stripped else of_host(self._host, prompt)
                if refusal is not None:
                    self._rows.give_up(prompt.id, f"not restored: {refusal.why}", self._wall(), "failed")
                    log.warning("prompt %s is not restored: %s", prompt.id, refusal.why)
                    refused.append(refusal.told(prompt.id, "reason"))
                else:
                    # First in the journal: if we die in between, it is found there once more, and once only.
                    self._rows.adopt(prompt.id)
                    self._back.add(prompt.id)
                    self._about_to_wait(prompt)
                    self._host.put_again(prompt)
                    restored.append(prompt.id)
            self._rows.count()
        if restored:
            log.info("restored %d prompts of an earlier process, in their order", len(restored))
            self._restored(restored)
        return {"restored": restored, "refused": refused}

    def discard(self, ids: Sequence[str] | None = None) -> dict[str, Any]:
        """Forget these, or all: `{"discarded": [ids]}`."""
        with self._one_at_a_time:
            found = [prompt.id for prompt, _ in self._rows.to_restore(ids)]
            for job_id in found:
                self._rows.give_up(job_id, "discarded by hand", self._wall())
            self._rows.count()
        return {"discarded": found}

    def release(self, job_id: str) -> dict[str, Any] | None:
        """Let a job that was set aside run again, its deaths forgotten; None where there is no such job."""
        with self._one_at_a_time:
            found = self._rows.quarantined_one(job_id)
            if found is not None:
                self._rows.release(job_id)
        return None if found is None else self.restore([job_id])

    def _all(self) -> None:
        self.restore()

    def _unless_seen(self) -> None:
        if self._rows.restorable and not self._seen() and self._settings().gate.restore == "ask":
            log.info("nobody has opened the panel: what was queued goes on by itself (gate.restore)")
            self.restore()


def in_a_while(seconds: float, work: Callable[[], None]) -> None:
    """Run `work` after so many seconds, on a daemon thread."""
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()

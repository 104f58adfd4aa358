"""Failed prompts once more, when somebody asks for it: the same graph under a new id, last in the queue."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from .host import Queued, QueueHost
from .journal.rows import JournalRows
from .refusal import Refusal, of_host, secret

log = logging.getLogger(__name__)


class RetryFailed:
    """Any thread but the event loop.

    Args:
        accepted: told of each before it is in the queue, as of a prompt that a client queues.
    """

    def __init__(
        self,
        rows: JournalRows,
        host: QueueHost,
        accepted: Callable[[Queued], None],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._rows = rows
        self._host = host
        self._accepted = accepted
        self._new_id = new_id
        self._one_at_a_time = threading.Lock()

    @property
    def possible(self) -> int:
        """How many `retry` would take without being told which."""
        return len(self._rows.to_retry())

    def retry(self, ids: Sequence[str] | None = None) -> dict[str, Any]:
        """Queue these again, or all that failed and that nobody cancelled.

        Returns:
            `{"queued": [{"id", "of"}], "refused": [{"id", "why", "cause"}]}`: `id` is the new one, `of` the old;
            `cause` as in `Refusal`, missing where there is none.
        """
        queued: list[dict[str, str]] = []
        refused: list[dict[str, Any]] = []
        with self._one_at_a_time:
            for job_id in dict.fromkeys(self._rows.to_retry() if ids is None else ids):
                prompt = self._rows.failed(job_id)
                refusal = self._no_graph(job_id) if prompt is None else of_host(self._host, prompt)
                if refusal is not None:
                    refused.append(refusal.told(job_id, "why"))
                if prompt is None or refusal is not None:
                    continue
                number = int(max(0.0, self._rows.last_number())) + 1
                again = prompt._replace(id=self._new_id(), number=float(number))
                self._host.number_after(number)
                # In the journal before it is in the queue; only then the old one gives its graph away.
                self._accepted(again)
                self._rows.retried(job_id, again.id)
                self._host.put_again(again)
                queued.append({"id": again.id, "of": job_id})
        if queued:
            log.info("queued %d failed prompts again, as asked", len(queued))
        return {"queued": queued, "refused": refused}

    def _no_graph(self, job_id: str) -> Refusal:
        job = self._rows.job(job_id)
        if job is None:
            return Refusal("no job with this id is in the journal", {"code": "unknown"})
        if job["state"] == "quarantined":
            return Refusal("it is set aside: release it instead", {"code": "aside"})
        if job["state"] != "failed":
            state = str(job["state"])
            return Refusal(f"it has not failed, its state is {state}", {"code": "state", "state": state})
        if job["retried_as"]:
            return Refusal(f"it was queued again already, as {job['retried_as']}", {"code": "again"})
        if job["stripped"]:
            return secret(job["stripped"])
        return Refusal("its graph is not kept any longer; queue it once more", {"code": "graph"})

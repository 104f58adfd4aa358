"""One prompt at a server: whether it is known there, sent once, taken off again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..answers import JobEnd
from ..errors import ClientError, RequestRefused, ServerGone, ServerSilent
from .server import Server

CANCEL_TIMEOUT = 5.0
"""Seconds for an interrupted prompt to leave the queue: it does so at its node's next step."""
CANCEL_POLL = 0.1
DOUBT = 1.0
"""Seconds after a request that broke before its answer, until the server is asked what became of it."""


def prompt_id(batch_id: str, key: str, attempt: int) -> str:
    """Return the id of a job's n-th attempt: always the same, so that who asks again finds the first asking."""
    return str(uuid.uuid5(uuid.UUID(batch_id), f"{key}/{attempt}"))


@dataclass(frozen=True)
class Measured:
    """Bytes: a prompt's peaks, and what its peak of RAM was expected to stay below; None where that is not told."""

    ram: int | None = None
    vram: Mapping[str, int] = field(default_factory=dict)
    expected: int | None = None


class Prompt:
    """One attempt of one job, at one server.

    Args:
        server: where.
        id: its own, as `prompt_id` makes it.
    """

    def __init__(self, server: Server, id: str) -> None:  # noqa: A002 - the field's own name
        self._server = server
        self.id = id
        self._in_doubt = False
        self.sent_as = ""
        """The id under which its events come; empty where another runner has sent it."""
        self.sent_over = 0
        """Number of the connection that was open when it was sent; 0: none."""

    def known(self) -> bool:
        """Whether the server has it: queued, running, or ended. One it keeps in its journal is put back by this.

        Raises:
            ClientError: the server does not answer.
        """
        client = self._server.client
        # A job goes from the queue into the history in one step: in this order it is seen in one of them.
        if self.id in client.queue().ids or client.history(self.id) is not None:
            return True
        return bool(self._server.gated) and self._restored()

    def send(self, graph: Mapping[str, Any]) -> None:
        """Queue it.

        Raises:
            PromptRefused: it is not valid.
            ServerGone, ServerSilent: it may have arrived or not: ask `known` next.
        """
        events = self._server.events
        self.sent_as, self.sent_over = events.id, events.connection
        try:
            self._server.client.submit(graph, self.id, self.sent_as)
        except (ServerGone, ServerSilent):
            self._in_doubt = True
            time.sleep(DOUBT)  # what the server is still reading is in its queue by then
            raise

    def remove_double(self) -> None:
        """Take one off where a request in doubt had arrived after all. The server does not compare ids itself."""
        if not self._in_doubt:
            return
        queue = self._server.client.queue()
        if self.id in queue.pending and (queue.running + queue.pending).count(self.id) > 1:
            self._delete()

    def clear_away(self) -> None:
        """After its end: no second one of the same id may be left to run."""
        if self._in_doubt and self.id in self._server.client.queue().pending:
            self._delete()

    def cancel(self) -> bool:
        """Take it off the queue, or interrupt it; whether it is gone. A server that does not answer keeps it."""
        give_up = time.monotonic() + CANCEL_TIMEOUT
        try:
            while time.monotonic() < give_up:
                queue = self._server.client.queue()
                if self.id in queue.pending:
                    self._delete()
                elif self.id in queue.running:
                    # Asked again at each look: an interrupt that comes before the prompt has begun is lost.
                    self._server.client.call("POST", "/interrupt", {"prompt_id": self.id}, CANCEL_TIMEOUT)
                else:
                    return True
                time.sleep(CANCEL_POLL)
        except ClientError:
            return False
        return False

    def end(self) -> JobEnd | None:
        """How it ended; None while it has not, or is not known."""
        return self._server.client.history(self.id)

    def set_aside(self) -> str:
        """Why the server's Resource Gate will not run it again; empty where that is not so."""
        if not self._server.gated:
            return ""
        try:
            told = self._server.client.call("GET", "/resource_gate/batch?limit=1")
        except RequestRefused:
            return ""
        for row in told.get("quarantined") or ():
            if row.get("id") == self.id:
                return f"set aside after {row.get('deaths')} deaths of the server while it ran: {row.get('error')}"
        return ""

    def measured(self) -> Measured:
        """What the server's Resource Gate measured for this prompt."""
        if self._server.gated:
            try:
                told = self._server.client.call("GET", "/resource_gate/batch?limit=3")
            except RequestRefused:
                return Measured()
            for row in told.get("jobs") or ():
                if row.get("id") == self.id:
                    return Measured(row.get("peak_ram"), dict(row.get("peak_vram") or {}), row.get("predicted"))
        return Measured()

    def _delete(self) -> None:
        self._server.client.call("POST", "/queue", {"delete": [self.id]}, CANCEL_TIMEOUT)

    def _restored(self) -> bool:
        """Ask the server to put it back from its journal; whether it did, or had just done so."""
        try:
            answer = self._server.client.call("POST", "/resource_gate/batch/restore", {"ids": [self.id]})
        except RequestRefused:
            return False
        if self.id in (answer or {}).get("restored", ()):
            return True
        # The server puts prompts back by itself, too: it may have done so since we looked.
        return self.id in self._server.client.queue().ids

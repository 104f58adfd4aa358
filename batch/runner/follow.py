"""Follows a prompt to its end: events where they come, and a look behind them, since a socket may be silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from ..answers import JobEnd
from ..errors import JobLost, JobTimeout
from ..joblist.job import Job
from .events import Tell, event
from .memory import MemoryWatch
from .prompt import Prompt
from .server import Server
from .stopping import StoppedNow

LISTEN = 0.5
"""Seconds to wait for an event at a time: how long a stop may go unnoticed."""
BEHIND = 5.0
"""Seconds between two looks at queue and history behind a living socket."""
BLIND = (0.05, 1.0)
"""Seconds between two looks with no socket, or before it has told of the prompt: the first, growing to the last."""
GROWTH = 1.5
DRAIN = 0.5
"""Seconds to wait for the event of an end that a look has found first: it was sent before, and only overtaken."""
PROGRESS_EVERY = 0.2
"""Seconds between two progress events: a sampler tells every step."""
ENDS = ("execution_success", "execution_error", "execution_interrupted")


class Follower:
    """Follows prompts of one job at one server.

    Args:
        job: whose graph names the nodes.
        timeout: seconds a prompt may take once it runs; 0: for ever.
        memory: looked at meanwhile.
    """

    def __init__(
        self, server: Server, job: Job, tell: Tell, stop: threading.Event, timeout: float, memory: MemoryWatch
    ) -> None:
        self._server, self._job, self._tell, self._stop = server, job, tell, stop
        self._timeout, self._memory = timeout, memory
        self._prompt: Prompt | None = None
        self._look_at = 0.0
        self._heard = self._end_told = False
        self._expected = 0
        """Number of the connection that was open when the prompt had not ended yet; 0: none."""
        self._blind = BLIND[0]
        self._began: float | None = None
        self._why = ""
        self._progress_after = 0.0
        self.waited = 0.0
        """Seconds that prompts waited in the server's queue."""

    def until_end(self, prompt: Prompt) -> JobEnd:
        """Return how `prompt` ended. May be called again for the same one after the server was gone.

        Raises:
            JobLost: the server does not know it (any more).
            JobTimeout: it ran too long.
            StoppedNow: the stop was asked for.
            ServerGone, ServerSilent: as their names say.
        """
        events = self._server.events
        if self._prompt is not prompt:
            self._prompt, self._began = prompt, None
        self._expected = prompt.sent_over
        self._blind, self._heard, self._end_told = BLIND[0], False, False
        since = time.monotonic()
        self._look_at = since + (BLIND[0] if events.within_prompt() else 0.0)
        try:
            while True:
                if self._stop.is_set():
                    raise StoppedNow
                ended = self._listen(prompt) if events.within_prompt() else self._sleep()
                self._memory.look_if_due()
                now = time.monotonic()
                if ended or now >= self._look_at:
                    end = self._look(prompt)
                    if end is not None:
                        if not self._end_told and self._is_silent(prompt):
                            self._server.is_silent(self._tell)
                        return end
                    self._expected = events.connection
                    # The end is told a moment before it is in the history; then it is asked for at short intervals.
                    self._blind = BLIND[0] if ended else min(self._blind * GROWTH, BLIND[1])
                    patient = self._heard and not ended and events.connection > 0
                    self._look_at = time.monotonic() + (BEHIND if patient else self._blind)
                if self._timeout and self._began is not None and now - self._began > self._timeout:
                    raise JobTimeout(f"it has not ended after {self._timeout:.0f} s")
        finally:
            # One that was never seen running was too quick for that, not waiting.
            self.waited += max(0.0, self._began - since) if self._began is not None else 0.0

    def _sleep(self) -> bool:
        self._stop.wait(max(0.0, self._look_at - time.monotonic()))
        return False

    def _listen(self, prompt: Prompt) -> bool:
        """Take one event; whether it says that our prompt has ended."""
        said = self._server.events.next_event(max(0.0, min(LISTEN, self._look_at - time.monotonic())))
        if said is None:
            if not self._server.events.connection:  # what was told meanwhile is lost, so look at once
                self._heard, self._blind, self._look_at = False, BLIND[0], time.monotonic()
            return False
        data, kind = said["data"], said.get("type")
        if data.get("prompt_id") != prompt.id:
            return False
        self._heard = True
        if _tells_end(said):
            self._end_told = True
            return True
        self._runs()
        if kind == "progress":
            self._progress(str(data.get("node") or ""), data)
        elif kind == "executing":
            self._progress(str(data["node"]), {})
        return False

    def _is_silent(self, prompt: Prompt) -> bool:
        """Whether the end, which a look has found, should have been told by the connection and is not."""
        events = self._server.events
        if prompt.sent_as != events.id or self._expected != events.connection:
            return False  # it was sent by another runner, or the connection was opened too late for it
        give_up = time.monotonic() + DRAIN
        while events.connection and (left := give_up - time.monotonic()) > 0:
            said = events.next_event(left)
            if said is not None and said["data"].get("prompt_id") == prompt.id and _tells_end(said):
                return False
        return events.connection > 0

    def _look(self, prompt: Prompt) -> JobEnd | None:
        """Ask queue and history.

        Raises:
            JobLost: it is in neither.
        """
        queue = self._server.client.queue()
        end = prompt.end()
        if end is not None:
            return end
        if prompt.id in queue.running:
            self._runs()
        elif prompt.id in queue.pending:
            before = len(queue.running) + queue.pending.index(prompt.id)
            health = self._memory.last
            held = health.reason if health is not None and health.gate != "open" else ""
            self._waits(held or (f"{before} prompts before it in the server's queue" if before else "about to start"))
        else:
            raise JobLost(f"{self._server.name} knows nothing of it any more")
        return None

    def _runs(self) -> None:
        if self._began is None:
            self._began = time.monotonic()

    def _waits(self, why: str) -> None:
        if why != self._why:
            self._why = why
            self._tell(event("waiting", index=self._job.index, reason=why))

    def _progress(self, node: str, data: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if not data or now >= self._progress_after or data.get("value") == data.get("max", -1):
            self._progress_after = now + PROGRESS_EVERY
            label = f"{node} {self._job.graph.get(node, {}).get('class_type', '')}".strip()
            value, most = data.get("value"), data.get("max")
            self._tell(event("progress", index=self._job.index, node=label, value=value, max=most))


def _tells_end(said: Mapping[str, Any]) -> bool:
    return said.get("type") in ENDS or (said.get("type") == "executing" and said["data"].get("node") is None)

"""One attempt of a job: given to the server, or found there; followed; its outputs brought here."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from ...gate.retry import classify
from ..answers import JobEnd
from ..errors import JobLost, JobTimeout, PromptRefused, RequestRefused, ServerGone, ServerSilent
from ..joblist.job import Job
from ..transfer import DiskFull, TransferError
from .events import Tell, event
from .failure import Failure
from .follow import Follower
from .health import NOT_ITSELF, Health
from .inputs import graph_for, missing
from .memory import MemoryWatch
from .options import RunOptions
from .outputs import OutputsBroken, fetch
from .prompt import Prompt, prompt_id
from .reconnect import Line, WorkerDead
from .refusal import told_refusal
from .release import wait_for_room
from .result import CANCELLED, DISK, INPUT, LOST, OUTPUT, REFUSED, TIMEOUT
from .server import Server
from .sockets import available

NO_GATE = (
    "it runs without Resource Gate: memory is read from /system_stats (the machine's, not a container's), nothing is "
    "freed between nodes, and its queue does not survive a restart"
)
NO_SOCKETS = "the package websockets (extra batch) is not installed: the server is asked, not listened to"


class Attempts:
    """All attempts of one job at one server, one after another.

    Args:
        number: of the first.
    """

    def __init__(
        self,
        job: Job,
        server: Server,
        line: Line,
        options: RunOptions,
        tell: Tell,
        stop: threading.Event,
        number: int,
    ) -> None:
        self._job, self._server, self._line, self._options = job, server, line, options
        self._tell, self._stop = tell, stop
        self._number = number
        self.memory = MemoryWatch(server, tell)
        self._follower = Follower(server, job, tell, stop, options.job_timeout, self.memory)
        self._before: Health | None = None
        """How the server was before the prompt."""
        self.prompt = self._make_prompt()
        self.sent = 0
        """How many prompts the server was given, or found to have."""
        self.waited = 0.0
        """Seconds of waiting for room."""

    @property
    def queued(self) -> float:
        """Seconds that its prompts waited in the server's queue."""
        return self._follower.waited

    def next(self) -> None:
        """Make the next attempt's prompt: the last one has its end at the server."""
        self._number += 1
        self.prompt = self._make_prompt()

    def run(self) -> tuple[Path, ...]:
        """Make one; return its outputs.

        Raises:
            Failure: it failed.
            ServerLost, StoppedNow, ClientError: as `Line.ask`.
        """
        if lost := missing(self._job.files):
            raise Failure(INPUT, f"missing: {lost}")
        self._line.ask(self._check)
        self._find_or_send()
        end = self._followed()
        self._line.ask(self.prompt.clear_away)
        if not end.ok:
            raise _failure_of(end)
        self._measure()
        options, client = self._options, self._server.client
        try:
            return tuple(
                self._line.ask(
                    lambda: fetch(client, end.outputs, self._job.name, options.separator, options.out, options.verify)
                )
            )
        except DiskFull as full:
            raise Failure(DISK, str(full)) from full
        except (OutputsBroken, TransferError) as error:
            raise Failure(OUTPUT, str(error)) from error

    def _check(self) -> None:
        """Whether the server can run anything now, and has room for it."""
        if not available():
            self._server.note_once(self._tell, NO_SOCKETS)
        self.waited += wait_for_room(self._server, self.memory, self._job, self._options.settle, self._tell, self._stop)
        self._before = self.memory.last
        if not self._server.gated:
            self._server.note_once(self._tell, NO_GATE)
        if self.memory.last is not None and self.memory.last.worker_alive is False:
            raise WorkerDead("its prompt worker is dead, it must be restarted")

    def _find_or_send(self) -> None:
        """See to it that the server has the prompt, once."""
        graph: dict[str, Any] | None = None
        broken = 0
        while not self._line.ask(self.prompt.known):
            if graph is None:
                graph = self._graph()
            told = {"index": self._job.index, "attempt": self._number, "id": self.prompt.id}
            self._server.events.before_prompt()
            self._tell(event("submitted", **told, server=self._server.name))
            try:
                self.prompt.send(graph)
                break
            except PromptRefused as refused:
                raise Failure(REFUSED, *told_refusal(refused.details)) from None
            except RequestRefused as refused:
                if refused.status not in NOT_ITSELF:
                    raise Failure(REFUSED, f"the server could not take the workflow: {refused}") from None
                broken += 1
                self._line.come_back(refused, broken)
            except (ServerGone, ServerSilent) as error:
                broken += 1
                self._line.come_back(error, broken)
        self.sent += 1
        self._line.ask(self.prompt.remove_double)

    def _graph(self) -> dict[str, Any]:
        health = self.memory.last
        try:
            return self._line.ask(
                lambda: graph_for(self._job, self._server, health.arguments if health is not None else ())
            )
        except TransferError as error:
            raise Failure(INPUT, str(error)) from None

    def _followed(self) -> JobEnd:
        try:
            return self._line.ask(lambda: self._follower.until_end(self.prompt))
        except JobTimeout as late:
            self.prompt.cancel()
            raise Failure(TIMEOUT, str(late), cause=late.cause) from None
        except JobLost as lost:
            if story := self._line.ask(self.prompt.set_aside):
                raise Failure(LOST, story, cause={"code": "aside"}) from None
            raise Failure(LOST, str(lost), same_prompt=True, cause=lost.cause) from None

    def _measure(self) -> None:
        """Take the server's own measurement of the prompt's peaks: it samples faster than we look."""
        found = self._line.ask(self.prompt.measured)
        self.memory.peak_ram = found.ram or self.memory.peak_ram
        self.memory.peak_vram.update(found.vram)
        self.memory.expected_ram = found.expected
        self._server.headroom.learn(self._job, self._before, self.memory.peak_ram)

    def _make_prompt(self) -> Prompt:
        return Prompt(self._server, prompt_id(self._options.batch_id, self._job.key, self._number))


def _failure_of(end: JobEnd) -> Failure:
    if end.error_type == "interrupted":
        return Failure(CANCELLED, "somebody interrupted it at the server", end.node)
    return Failure(classify(end.error_type, end.error).value, end.reason, end.node)

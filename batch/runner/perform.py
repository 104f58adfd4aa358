"""One job on one server, from its check to its verified files, with retries and reconnects."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from ..errors import ClientError
from ..joblist.job import Job
from .attempt import Attempts
from .events import Tell, event
from .failure import Failure
from .options import RunOptions
from .reconnect import Line, ServerLost
from .release import free, release
from .result import SERVER, STOPPED, JobResult
from .server import Server
from .stopping import Stop, StoppedNow


def perform(
    job: Job, server: Server, options: RunOptions, tell: Tell, stop: threading.Event, first_attempt: int = 1
) -> JobResult:
    """Run `job` on `server` until it has ended there, and bring its outputs here. Does not raise for what goes wrong.

    Args:
        server: lasts from job to job, with its connection and what is known of it; one job at a time.
        tell: hears of everything; `submitted` is told before a prompt is sent, and must be in the journal on return.
        stop: set: interrupt the prompt, take it off the server's queue and return (`result.STOPPED`); a `Stop` may
            leave it there.
        first_attempt: number of the first attempt; what an earlier runner's journal says that it sent (or was about
            to). The server is asked for a prompt of that number before one is sent, so none runs twice.
    """
    result = _Performance(job, server, options, tell, stop, first_attempt).run()
    server.breaker.record(result)
    return result


class _Performance:
    def __init__(
        self, job: Job, server: Server, options: RunOptions, tell: Tell, stop: threading.Event, attempt: int
    ) -> None:
        self._job, self._server, self._options, self._tell, self._stop = job, server, options, tell, stop
        self._line = Line(server, options, tell, stop)
        self._attempts = Attempts(job, server, self._line, options, tell, stop, attempt)
        self._retried = 0
        self._waited = 0.0

    def run(self) -> JobResult:
        began = time.monotonic()
        outputs: tuple[Path, ...] = ()
        failure: Failure | None = None
        try:
            outputs = self._until_done()
        except Failure as failed:
            failure = failed
        except (ServerLost, ClientError) as lost:
            failure = Failure(SERVER, str(lost), cause=lost.cause)
        except StoppedNow:
            failure = Failure(STOPPED, "the batch was stopped")
            if not (isinstance(self._stop, Stop) and self._stop.leaves):
                self._attempts.prompt.cancel()
        if failure is None or failure.kind not in (SERVER, STOPPED):
            self._leave()
        memory, attempts = self._attempts.memory, self._attempts
        return JobResult(
            ok=failure is None,
            error_kind="" if failure is None else failure.kind,
            error="" if failure is None else failure.text,
            cause=None if failure is None else failure.cause,
            node="" if failure is None else failure.node,
            attempts=attempts.sent,
            seconds=time.monotonic() - began,
            wait=self._waited + self._line.waited + attempts.waited + attempts.queued,
            peak_ram=memory.peak_ram,
            peak_vram=memory.peak_vram,
            expected_ram=memory.expected_ram,
            outputs=outputs,
            server=self._server.name,
            actions=tuple(memory.actions.values()),
        )

    def _until_done(self) -> tuple[Path, ...]:
        while True:
            try:
                return self._attempts.run()
            except Failure as failure:
                if not failure.may_pass(self._retried, self._options.retries):
                    raise
                self._retried += 1
                self._prepare(failure)

    def _prepare(self, failure: Failure) -> None:
        """Wait, change what can be changed, and make the next attempt's prompt."""
        # A lost prompt was waited for already, when its server came back.
        wait = 0.0 if failure.same_prompt else self._options.retry_wait * self._retried
        told = {"index": self._job.index, "attempt": self._retried, "of": self._options.retries, "wait": wait}
        self._tell(event("retry", **told, error=failure.text))
        if self._stop.wait(wait):
            raise StoppedNow
        self._waited += wait
        if not failure.same_prompt:
            self._attempts.next()
        if failure.wants_memory_freed:
            self._line.ask(lambda: free(self._server, "emergency"))

    def _leave(self) -> None:
        """Leave the server as the next job needs it; what goes wrong here is the next job's to meet, not this one's."""
        options, memory = self._options, self._attempts.memory
        try:
            self._waited += release(self._server, memory, options.release, options.settle, self._stop)
        except StoppedNow:
            return
        except ClientError as error:
            self._tell(event("note", text=f"{self._server.name}: no memory was freed after a job ({error})"))

"""Runs a batch of clips on a server of ours as a person would overnight, counts what dies, and checks what came out."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ..client import Client, ClientError, JobEnd, PromptRefused, ServerGone, ServerSilent
from ..local.server_process import ServerProcess, ServerSpec
from ..verify import Check, check_clip
from .result import JobResult, Progress, TrialResult
from .sample_jobs import ClipJob

POLL = 0.25
"""Seconds between two looks at the queue: a tenth of the shortest clip measured."""
STALL_TIMEOUT = 900.0
"""Seconds without any job ending before the trial gives up: a node that hangs would hold it for ever."""
DEATH_TIMEOUT = 5.0
"""Seconds from a broken connection to the end of the process: the kernel frees a few GB before it is gone."""
DEATHS_WITHOUT_JOB = 3
"""Deaths in a row with no job running before the trial gives up: then it is not the jobs that kill it."""

__all__ = ["JobResult", "Progress", "Server", "Trial", "TrialError", "TrialResult", "run_trial"]

logger = logging.getLogger(__name__)


class TrialError(Exception):
    """The trial itself cannot go on; the text says why."""


class Server(Protocol):
    """What a trial needs of a server; `ServerProcess` is one."""

    client: Client

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        ...

    @property
    def peaks(self) -> tuple[int, int]:
        """Most bytes charged and most anonymous bytes, since the last start."""
        ...

    def start(self) -> float:
        """Start it and wait until it answers."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


class Trial:
    """One batch on one server.

    Args:
        server: started by `run`, and after every death.
        jobs: in this order.
        output: the server's output folder.
        queue_all: queue all at once, as a person does; else the next when one has ended.
        progress: called at every look.
        check: whether a file is a whole clip; `verify.check_clip`.
        poll: seconds between two looks.
        stall_timeout: seconds without any job ending before the trial gives up.
        death_timeout: seconds a broken connection may last before it counts as no death after all.
    """

    def __init__(
        self,
        server: Server,
        jobs: Sequence[ClipJob],
        output: Path,
        *,
        queue_all: bool = True,
        progress: Callable[[Progress], None] = lambda progress: None,
        check: Callable[[Path, int, int, int], Check] = check_clip,
        poll: float = POLL,
        stall_timeout: float = STALL_TIMEOUT,
        death_timeout: float = DEATH_TIMEOUT,
    ) -> None:
        self._server, self._jobs, self._output = server, list(jobs), output
        self._queue_all, self._progress, self._check, self._poll = queue_all, progress, check, poll
        self._stall_timeout, self._death_timeout = stall_timeout, death_timeout
        self._ids = {job.name: str(uuid.uuid4()) for job in self._jobs}
        self._submitted: set[str] = set()
        self._ended: dict[str, JobResult] = {}
        self._result = TrialResult(len(self._jobs))
        self._running = ""
        self._last_end = 0.0
        self._idle_deaths = 0

    def run(self) -> TrialResult:
        """Run it to its end, stop the server, check the files.

        Raises:
            TrialError: nothing ended for `stall_timeout` seconds, or the server keeps dying with no job to blame.
            NotReady: it did not come up.
        """
        cpu_before = _cpu_of_children()
        try:
            self._server.start()
            began = self._last_end = time.monotonic()
            while len(self._ended) < len(self._jobs):
                try:
                    self._look()
                except ServerSilent:
                    logger.info("the server is slow to answer")
                except ServerGone:
                    self._gone()
                if time.monotonic() - self._last_end > self._stall_timeout:
                    raise TrialError(f"no job ended for {self._stall_timeout:.0f} s")
                self._tell()
                time.sleep(self._poll)
            self._result.wall = self._last_end - began
            self._keep_peaks()
        finally:
            self._server.stop()
        self._result.cpu = _cpu_of_children() - cpu_before
        self._result.jobs = [self._checked(job) for job in self._jobs]
        return self._result

    def _look(self) -> None:
        """Submit what is due, and note what has ended."""
        client = self._server.client
        waiting = [job for job in self._jobs if job.name not in self._ended]
        for job in waiting if self._queue_all else waiting[:1]:
            if job.name not in self._submitted:
                self._submit(job)
        queue = client.queue()
        names = {self._ids[job.name]: job.name for job in waiting}
        self._running = next((names[i] for i in queue.running if i in names), "")
        for job in waiting:
            # A job goes from the queue into the history in one step, so one that is in neither is lost.
            if job.name in self._submitted - self._ended.keys() and self._ids[job.name] not in queue.ids:
                end = client.history(self._ids[job.name])
                self._note(job, end or JobEnd(self._ids[job.name], False, "the server lost it"))

    def _submit(self, job: ClipJob) -> None:
        self._submitted.add(job.name)
        try:
            self._server.client.submit(job.graph, self._ids[job.name])
        except PromptRefused as error:
            self._note(job, JobEnd(self._ids[job.name], False, f"refused: {error}"))
        except ClientError:
            self._submitted.discard(job.name)
            raise

    def _note(self, job: ClipJob, end: JobEnd) -> None:
        now = time.monotonic()
        state = "done" if end.ok else "failed"
        self._ended[job.name] = JobResult(job.name, state, end.reason, now - self._last_end)
        self._last_end = now
        self._idle_deaths = 0

    def _gone(self) -> None:
        """Count a death, give up the job that was running, and start again for the rest."""
        give_up = time.monotonic() + self._death_timeout
        while self._server.alive:  # a broken connection alone is no death
            if time.monotonic() > give_up:
                return
            time.sleep(self._poll)
        self._result.deaths += 1
        self._keep_peaks()
        victim = self._victim()
        self._server.start()
        queued = self._server.client.queue().ids
        # What a server brings back by itself goes on; the rest of a queue in memory is lost and queued anew.
        self._submitted = {job.name for job in self._jobs if self._ids[job.name] in queued} | set(self._ended)
        if victim is not None and victim.name not in self._submitted:
            now = time.monotonic()
            self._ended[victim.name] = JobResult(victim.name, "lost", "the server died with it", now - self._last_end)
            self._submitted.add(victim.name)
            self._last_end = now
        elif victim is None:
            self._idle_deaths += 1
            if self._idle_deaths >= DEATHS_WITHOUT_JOB:
                raise TrialError(f"the server died {self._idle_deaths} times with no job running")
        self._running = ""

    def _victim(self) -> ClipJob | None:
        """Find the job that ran at the death: the first not ended, unless its file is whole and nobody saw it end."""
        for job in self._jobs:
            if job.name in self._ended or job.name not in self._submitted:
                continue
            if job.name != self._running and self._found(job).whole is not False:
                self._note(job, JobEnd(self._ids[job.name], True))
                continue
            return job
        return None

    def _keep_peaks(self) -> None:
        peak, anonymous = self._server.peaks
        self._result.peak = max(self._result.peak, peak)
        self._result.anonymous_peak = max(self._result.anonymous_peak, anonymous)

    def _found(self, job: ClipJob) -> Check:
        """Check the job's file: of several attempts' the first whole one, else the last."""
        check = Check(False, "no file was written")
        for path in sorted(self._output.glob(job.prefix + "_*")):
            check = self._check(path, job.frames, job.width, job.height)
            if check.whole is not False:
                break
        return check

    def _checked(self, job: ClipJob) -> JobResult:
        result = self._ended[job.name]
        if result.state != "done":
            return result
        check = self._found(job)
        state = "broken" if check.whole is False else "done"
        return JobResult(job.name, state, check.text, result.seconds, check.whole is True)

    def _tell(self) -> None:
        self._progress(Progress(len(self._ended), len(self._jobs), self._result.deaths, self._running, self._server))


def _cpu_of_children() -> float:
    """CPU seconds of processes that we started and that have ended; always 0 on Windows."""
    times = os.times()
    return times.children_user + times.children_system


def run_trial(
    spec: ServerSpec,
    jobs: Sequence[ClipJob],
    base: Path,
    *,
    queue_all: bool = True,
    progress: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = logger.info,
) -> TrialResult:
    """Run `jobs` on a server started as `spec` says, its limit included, with all it writes below `base`.

    Raises:
        TrialError, NotReady: as `Trial.run`.
    """
    server = ServerProcess(spec, base, say)
    return Trial(server, jobs, server.base / "output", queue_all=queue_all, progress=progress).run()

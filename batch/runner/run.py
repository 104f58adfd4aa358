"""A batch on one server: job after job, each alone."""

from __future__ import annotations

from collections import deque

from .events import Tell, event
from .journal import Journal
from .options import RunOptions
from .perform import perform
from .result import DISK, SERVER, STOPPED, JobResult
from .server import Server
from .stopping import Stopping


def run_on_one(journal: Journal, options: RunOptions, tell: Tell, stopping: Stopping, server: Server) -> str:
    """Work until every job has its end, the batch is stopped, the server is given up, or the disk is full.

    Returns:
        Why jobs stay to be done, for a person; empty where none does, or where the batch was stopped.
    """
    due = deque(journal.due())
    while due and not stopping.finish.is_set():
        if server.breaker.given_up:
            return f"{server.name} fails one job after another for reasons of its own: {server.breaker.reason}"
        if wait := server.breaker.wait:
            reason = f"no job for {wait:.0f} s: {server.breaker.reason}"
            tell(event("server", server=server.name, state="resting", reason=reason, cause=server.breaker.cause))
            stopping.finish.wait(wait)
            continue
        job = journal.job(due[0])
        attempt = journal.start(job.index, server.name)
        tell(event("job_started", index=job.index, name=job.name, server=server.name))
        result = perform(job, server, options, tell, stopping.now, attempt)
        journal.end(job.index, result)
        if result.error_kind == STOPPED:
            break
        if result.error_kind == DISK:  # what the next jobs make would find no room, either
            return result.error
        if result.error_kind == SERVER:
            tell(event("server", server=server.name, state="failed", reason=result.error, cause=result.cause))
            # It was waited for with patience already: to try again at once would only double that.
            return result.error
        due.popleft()
        tell(job_ended(job.index, job.name, result))
    return ""


def job_ended(index: int, name: str, result: JobResult) -> dict[str, object]:
    """Return the event that tells how a job ended."""
    return event(
        "job_ended",
        index=index,
        name=name,
        ok=result.ok,
        seconds=result.seconds,
        wait=result.wait,
        attempts=result.attempts,
        error_kind=result.error_kind,
        error=result.error,
        node=result.node,
        peak_ram=result.peak_ram,
        outputs=[str(path) for path in result.outputs],
        server=result.server,
        actions=list(result.actions),
    )

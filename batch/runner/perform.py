"""One job on one server, from its check to its verified files, with retries and reconnects."""

from __future__ import annotations

import threading

from ..joblist.job import Job
from .events import Tell
from .options import RunOptions
from .result import JobResult
from .server import Server


def perform(
    job: Job, server: Server, options: RunOptions, tell: Tell, stop: threading.Event, first_attempt: int = 1
) -> JobResult:
    """Run `job` on `server` until it has ended there, and bring its outputs here.

    Args:
        server: lasts from job to job, with its connection and what is known of it; one job at a time.
        tell: hears of everything; `submitted` is told before a prompt is sent, and must be in the journal on return.
        stop: set: interrupt the prompt, take it off the server's queue and return (`result.STOPPED`).
        first_attempt: number of the first attempt; what an earlier runner's journal says that it sent (or was about
            to). The server is asked for a prompt of that number before one is sent, so none runs twice.
    """
    raise NotImplementedError

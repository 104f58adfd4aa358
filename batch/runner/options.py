"""How a batch is run: what `resource-gate batch run` takes from its command line, with the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RETRIES = 3
RETRY_WAIT = 15.0
"""Seconds before the first retry; twice and three times as long before the second and third (15, 30, 45)."""
RECONNECT = 5
RECONNECT_WAIT = 10.0
READY_BUDGET = 600.0
"""Seconds for a server that is gone to come back, after the quick tries: a restart with many node packs on a cold disk
takes a minute or two, a reboot of its machine a few."""
SETTLE = 30.0
"""Seconds at most until memory has fallen back, or stopped falling, between two jobs."""
RELEASE = ("auto", "always", "never")


@dataclass(frozen=True)
class RunOptions:
    """What holds for every job of a batch. Seconds, unless said otherwise. Can be pickled.

    Attributes:
        out: the folder that finished outputs go to.
        batch_id: a UUID; the ids of the batch's prompts are made from it.
        retries: further tries of a job after an error that may pass.
        retry_wait: before the first of them; before the n-th n times as long.
        reconnect: tries to reach a server whose connection broke.
        reconnect_wait: between two of these.
        ready_budget: for such a server to come back after that, before it is given up.
        release: free the server's memory after each job: `always`, `never`, or `auto`: where its level is not normal.
        settle: at most, for memory to fall back before the next job.
        job_timeout: for one attempt of one job on the server; 0: for ever.
        verify: decode each finished video and image whole.
        separator: between a job's name and the number of an output, where it has several.
    """

    out: Path
    batch_id: str
    retries: int = RETRIES
    retry_wait: float = RETRY_WAIT
    reconnect: int = RECONNECT
    reconnect_wait: float = RECONNECT_WAIT
    ready_budget: float = READY_BUDGET
    release: str = "auto"
    settle: float = SETTLE
    job_timeout: float = 0.0
    verify: bool = True
    separator: str = "_"

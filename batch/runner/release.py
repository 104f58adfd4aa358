"""Between two jobs: give memory back where it is short, and wait until it has fallen."""

from __future__ import annotations

import threading
import time
from http import HTTPStatus

from ..errors import RequestRefused
from ..joblist.job import Job
from .events import Tell, event
from .health import Health
from .memory import MemoryWatch
from .server import Server
from .stopping import StoppedNow

LOOK = 0.5
"""Seconds between two looks at memory that falls."""
STALLED = 3.0
"""Seconds without such a fall before a job, after which no more is to be expected."""
FALLING = 0.005
"""Share of the limit that memory must fall by between two looks to count as falling still."""


def free(server: Server, level: str = "critical") -> None:
    """Have the server free memory: as its Resource Gate does at `level`; a stock one unloads all and drops its cache.

    Raises:
        ClientError: it does not answer, or refuses.
    """
    if server.gated:
        try:
            server.client.call("POST", "/resource_gate/free", {"level": level})
        except RequestRefused as refused:
            if refused.status != HTTPStatus.CONFLICT:  # 409: the rest waits for the running node
                raise
    else:
        server.client.call("POST", "/free", {"unload_models": True, "free_memory": True})


def release(server: Server, memory: MemoryWatch, how: str, settle: float, stop: threading.Event) -> float:
    """Free memory after a job as `how` says (`RunOptions.release`), and wait until it settles; return the seconds.

    Raises:
        ClientError: the server does not answer, or refuses.
        StoppedNow: `stop` was set meanwhile.
    """
    if how == "never":
        return 0.0
    found = memory.look()
    if how == "auto" and found.level == "normal":
        return 0.0
    free(server, found.level if found.level in ("warning", "critical", "emergency") else "critical")
    began, used = time.monotonic(), found.used
    while time.monotonic() - began < settle:
        if stop.wait(LOOK):
            raise StoppedNow
        found = memory.look()
        if found.used is None or found.limit is None or used is None:
            break
        if found.level == "normal" or used - found.used < FALLING * found.limit:
            break
        used = found.used
    return time.monotonic() - began


def wait_for_room(
    server: Server, memory: MemoryWatch, job: Job, settle: float, tell: Tell, stop: threading.Event
) -> float:
    """Before a job: free memory and wait while it falls, at most `settle` seconds; return the seconds.

    Where it is critical; and on a stock server where the job would probably make it so. Then it goes on: a server with
    Resource Gate holds the prompt back itself, and a stock one's machine may have that much in use for good.

    Raises:
        ClientError: the server does not answer, or not sensibly.
        StoppedNow: `stop` was set meanwhile.
    """
    began = time.monotonic()
    found = memory.look()
    told, lowest, fell = False, found.used, began
    while reason := _short(server, found, job):
        if time.monotonic() - began >= settle:
            break
        if not told:
            told = True
            tell(event("waiting", index=job.index, reason=reason))
            free(server, found.level)
        if stop.wait(LOOK):
            raise StoppedNow
        found = memory.look()
        if found.used is None or lowest is None or found.limit is None:
            break
        if lowest - found.used >= FALLING * found.limit:
            lowest, fell = found.used, time.monotonic()
        elif time.monotonic() - fell > STALLED:
            break
    return time.monotonic() - began if told else 0.0


def _short(server: Server, found: Health, job: Job) -> str:
    """Why the server has no room for the job now; empty where it has."""
    share = "" if found.fraction is None else f", RAM at {found.fraction:.0%}"
    if found.level in ("critical", "emergency"):
        return f"{server.name} is at its {found.level} level{share}"
    return f"{server.name} would come to its critical level with it{share}" if server.headroom.lacks(job, found) else ""

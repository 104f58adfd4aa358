"""Runs what is due in a journal on several servers, or on all machines that are at a scheduler."""

from __future__ import annotations

import dataclasses
import queue
import tempfile
import urllib.parse
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..joblist.job import Job
from ..needs.learned_need import REMEMBERED, LearnedNeed, Need
from ..runner.events import Tell, event
from ..runner.journal import Journal
from ..runner.options import RunOptions
from ..runner.stopping import Stopping
from .dispatcher import Dispatcher
from .machine import Reading
from .messages import Message
from .require import FleetRefused, Tls, has_dashboard, quiet_dask, require_dask, security_for
from .roster import Machine, Roster

JOIN_PATIENCE = 60.0
"""Seconds that a job which fits on no machine at a scheduler waits for a larger one to join."""
CONNECT = 15.0
"""Seconds to reach a scheduler."""

Shown = Callable[[Machine, "Job | None", "Reading | None"], None]


def machine_names(urls: Sequence[str]) -> dict[str, str]:
    """Name servers by host and port, as short as they are told apart: name → URL.

    Raises:
        FleetRefused: one is named twice.
    """
    names: dict[str, str] = {}
    for url in urls:
        parts = urllib.parse.urlsplit(url)
        name = (parts.netloc or url) + parts.path.rstrip("/")
        if name in names:
            raise FleetRefused(f"--server {url} is named twice: a server does one job at a time")
        names[name] = url
    return names


def run_fleet(
    journal: Journal,
    options: RunOptions,
    tell: Tell,
    stopping: Stopping,
    *,
    servers: Sequence[str] = (),
    scheduler: str = "",
    tls: Tls | None = None,
    need: Need | None = None,
    shown: Shown = lambda *_: None,
    dashboard: Callable[[str], None] = lambda _: None,
    connect: float = CONNECT,
) -> str:
    """Work until every job has its end, the batch is stopped, or no machine is left.

    Args:
        tell: as `Book.tell`, which keeps in the journal what must survive; called on this thread alone.
        servers: URLs; each gets a worker process on this machine. Or:
        scheduler: address of a Dask scheduler; `resource-gate worker` runs at it, on each machine.
        tls: certificates, for a scheduler that is not on this machine.
        need: tells what jobs will need, instead of what their own batch teaches.
        shown: is called with a machine whenever it has changed.
        dashboard: is called with the address of Dask's own dashboard, where there is one.
        connect: seconds to reach the scheduler.

    Returns:
        Why jobs stay to be done, for a person; empty where none does, or where the batch was stopped.

    Raises:
        FleetRefused: Dask is missing, or the scheduler is not safe to use, or not there.
    """
    require_dask()
    quiet_dask()
    from .dask_transport import DaskTransport  # here and not above: without the extra, one server works

    inbox: queue.Queue[Message] = queue.Queue()
    roster, learned = Roster(), LearnedNeed()
    with journal.reported() as told:
        homes = remember(told, journal.job, learned)
    with ExitStack() as stack:
        if scheduler:
            client, link = connected(scheduler, tls or Tls(), connect, stack)
            names, patience = None, JOIN_PATIENCE
        else:
            from .local_cluster import local_cluster

            named = machine_names(servers)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resource-gate-fleet-")))
            client, link = stack.enter_context(local_cluster(named, folder))
            names, patience = frozenset(named), 0.0
        if link:
            dashboard(link)
            tell(event("note", text=f"Dask's dashboard: {link}"))
        # After the quick tries a job goes to another machine; it is here that a server is waited for, by all of them.
        moving = dataclasses.replace(options, ready_budget=0.0)
        transport = stack.enter_context(DaskTransport(client, inbox, moving, here=not scheduler, names=names))
        dispatcher = Dispatcher(
            journal, transport, inbox, roster, options, tell, stopping,
            homes=homes, need=need, learned=learned, patience=patience, shown=shown,
        )  # fmt: skip
        for name in names or ():
            dispatcher.expect(name, named[name])
        return dispatcher.run()


def connected(scheduler: str, tls: Tls, timeout: float, stack: ExitStack) -> tuple[Any, str | None]:
    """Return a client of that cluster, closed with `stack`, and the address of Dask's dashboard, where there is one.

    Raises:
        FleetRefused: it is not safe to use, or was not reached in `timeout` seconds.
    """
    from distributed import Client

    security = security_for(scheduler, tls)
    try:
        client = stack.enter_context(Client(scheduler, security=security, timeout=timeout, set_as_default=False))
    except (OSError, TimeoutError) as error:
        raise FleetRefused(f"--scheduler {scheduler} was not reached: {error}") from error
    return client, client.dashboard_link if has_dashboard() else None


def remember(report: Mapping[str, Any], job_of: Callable[[int], Job], learned: LearnedNeed) -> dict[int, str]:
    """Take from a journal's report what an earlier runner saw of the jobs' needs; return who had those it was at.

    A need is the most that was in use at a job's server while it ran, above the least ever in use there.
    """
    times: dict[str, list[float]] = {}
    used: dict[str, list[int]] = {}
    for sample in report["samples"]:  # by time
        times.setdefault(sample["server"], []).append(sample["time"])
        used.setdefault(sample["server"], []).append(sample["used"])
    last: dict[str, deque[tuple[int, int]]] = {}
    homes = {}
    for row in report["jobs"]:
        server, began, ended = row["server"], row["started_at"], row["ended_at"]
        if row["state"] == "running" and server:
            homes[row["index"]] = server
        elif row["state"] == "done" and server in used:
            during = used[server][bisect_left(times[server], began) : bisect_right(times[server], ended)]
            if during:
                grew = max(during) - min(used[server])
                last.setdefault(server, deque(maxlen=REMEMBERED)).append((row["index"], grew))
    for index, grew in (each for found in last.values() for each in found):
        learned.learn(job_of(index), grew)
    return homes

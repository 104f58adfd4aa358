"""A Dask cluster on this machine: a scheduler on loopback, and for each server a process that talks to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster

from .require import has_dashboard
from .worker_side import SLOT, MachinePlugin

LOOPBACK = "127.0.0.1"
RESULTS_LOST = {"distributed.scheduler.allowed-failures": 0}
"""A task whose worker died is told so at once; the dispatcher gives the job anew."""


def nanny_options(machine: str, url: str, folder: Path) -> dict[str, Any]:
    """What makes a Dask worker one of ours: one slot, one server, no memory rules of its own.

    Args:
        folder: for its files; made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "nthreads": 1,
        "name": machine,
        "resources": SLOT,
        # It holds no data: what fills memory here are the servers, and those are watched by themselves.
        "memory_limit": 0,
        "silence_logs": logging.ERROR,
        "local_directory": str(folder / "dask"),
        "plugins": (MachinePlugin(machine, url, folder),),
    }


@contextmanager
def local_cluster(servers: Mapping[str, str], folder: Path) -> Iterator[tuple[Client, str | None]]:
    """Run a cluster while the block runs; yields its client and the address of Dask's dashboard, where it has one.

    Each server has a process of its own, and not a thread: one that dies, in a decoder say, is back in a second and
    takes neither the batch nor the other servers' jobs with it.

    Args:
        servers: machine → URL.
    """
    scheduler = {"host": LOOPBACK, "port": 0, "dashboard": has_dashboard(), "dashboard_address": f"{LOOPBACK}:0"}
    workers = {
        name: {"cls": Nanny, "options": {**nanny_options(name, url, folder / str(number)), "host": LOOPBACK}}
        for number, (name, url) in enumerate(servers.items())
    }
    with (
        dask.config.set(RESULTS_LOST),
        SpecCluster(workers, {"cls": Scheduler, "options": scheduler}, silence_logs=40) as cluster,
        Client(cluster) as client,
    ):
        yield client, cluster.dashboard_link if has_dashboard() else None

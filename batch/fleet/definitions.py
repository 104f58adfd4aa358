"""What nodes the servers at a scheduler have: asked through their workers, since only those may reach them."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any

from .require import Tls, quiet_dask, require_dask

CONNECT = 15.0
"""Seconds to reach the scheduler."""

log = logging.getLogger(__name__)


def definitions_at(scheduler: str, tls: Tls, timeout: float = CONNECT) -> dict[str, Any] | None:
    """Return `GET /object_info` of one of a scheduler's machines; None while none is there whose server answers.

    Raises:
        FleetRefused: Dask is missing, or the scheduler is not safe to use, or not there.
    """
    require_dask()
    quiet_dask()
    from .run_fleet import connected

    with ExitStack() as stack:
        client, _ = connected(scheduler, tls, timeout, stack)
        return definitions_of(client)


def definitions_of(client: Any) -> dict[str, Any] | None:
    """The same, with a client of the cluster."""
    from .worker_side import definitions

    for address in client.nthreads():
        try:
            found = client.run(definitions, workers=[address])[address]
        except Exception as error:  # noqa: BLE001 - Dask raises what the network and the other side raise
            log.info("%s was not asked for its nodes: %s", address, error)
            continue
        if isinstance(found, dict) and found:
            return found
    return None

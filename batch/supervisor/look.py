"""What a supervised server says of itself, asked again and again on a thread of its own."""

from __future__ import annotations

import http
import logging
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ..client import BadAnswer, Client, ClientError, RequestRefused, ServerSilent

LOOK_EVERY = 3.0
"""Seconds between two looks. A look costs the server about 1 ms; a dead worker shall be seen within 15 s."""
LOOK_AT_FIRST = 0.5
"""Seconds between two looks until the first answer: a queue that comes back starts its first job at once, and what the
server held before that is what it is measured against. A refused connection costs nothing."""
YOUNG_LOOKS = 40
"""So many looks after the first answer come as often: in a life that ends soon, each job that it ended is to be known,
for work that goes on is what lets the next start come at once."""
STOCK_LOOKS = 20
"""So many looks a server that told nothing of Resource Gate is asked for its queue alone; then for all again: that may
have been a proxy's answer, or an error of a moment."""
LOOK_TIMEOUT = 10.0
"""Seconds for one answer: event loops were measured to stall for 1.3 s, ten leaves room for a busy disk."""
FREE_TIMEOUT = 60.0
"""Seconds for freeing all that can be; it took a quarter of a second for 2.3 GB."""

logger = logging.getLogger(__name__)


class Answer(Enum):
    """What became of the question."""

    GATE = "answers, with Resource Gate"
    STOCK = "answers, without Resource Gate"
    SILENT = "takes the connection and does not answer"
    REFUSED = "takes no connection"


@dataclass(frozen=True)
class Look:
    """The server at one moment; all but `answer` is known with Resource Gate only.

    Attributes:
        worker_alive: whether the thread that runs prompts lives; None where not known.
        gate_state: `open`, `waiting` or `paused`.
        running: ids of running prompts.
        pending: how many wait.
        node: the node that runs.
        stuck: what the server says is stuck there; empty where nothing is.
        mark: differs from the last look's where work has gone on.
        ended: jobs that ended in this life, well or not.
        ram: used bytes, limit in bytes, and the share of it where the critical level begins; None where not known.
        emergency: whether RAM is at its emergency level.
        anonymous: bytes of the server's own that cannot be dropped.
        peak: most bytes it ever held.
        freed: whether it was told to free all it can, and has answered, just before this look.
    """

    answer: Answer
    worker_alive: bool | None = None
    gate_state: str = "open"
    running: tuple[str, ...] = ()
    pending: int = 0
    node: str = ""
    mark: tuple[Any, ...] = ()
    ended: int = 0
    ram: tuple[int, int, float] | None = None
    emergency: bool = False
    anonymous: int | None = None
    peak: int | None = None
    freed: bool = False
    stuck: str = ""


def look_at(client: Client, *, stock: bool = False) -> Look:
    """Ask once; never raises for what a server does.

    Args:
        client: with a time-out of its own.
        stock: whether the server is known to run without Resource Gate: then only its queue is asked for.
    """
    try:
        status = None if stock else client.status()
        if status is not None:
            return _read(status)
        client.queue()
        return Look(Answer.STOCK)
    except ServerSilent:
        return Look(Answer.SILENT)
    except (RequestRefused, BadAnswer):  # something in front of it wants a password, say: it lives
        return Look(Answer.STOCK)
    except ClientError:
        return Look(Answer.REFUSED)


def _read(status: Mapping[str, Any]) -> Look:
    """Read the status object; one of another shape counts as a server without Resource Gate."""
    try:
        work, batch, process = status["queue"], status["batch"], status["process"]
        running = tuple(map(str, work["running"]))
        ended = int(batch["done"]) + int(batch["failed"])
        ram = status["resources"].get("ram")
        return Look(
            Answer.GATE,
            status["worker_alive"],
            str(status["gate"]["state"]),
            running,
            int(work["pending"]),
            str(work["node"]),
            (running, work["node"], work["progress"], ended, batch["retried"]),
            ended,
            (int(ram["used"]), int(ram["limit"]), float(ram["tiers"]["critical"])) if ram else None,
            bool(ram) and ram["level"] == "emergency",
            int(process["anonymous"]) if process else None,
            int(process["peak"]) if process else None,
            stuck=str(status.get("degraded", {}).get("stuck", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        logger.debug("an unknown status object: %r", status)
        return Look(Answer.STOCK)


class Watcher:
    """Looks at one life of a server, from its making until `stop`.

    Args:
        url: the server's.
        interval: seconds between two looks, at most `LOOK_AT_FIRST` until it has answered `YOUNG_LOOKS` times.
        timeout: seconds for one answer.
    """

    def __init__(self, url: str, interval: float = LOOK_EVERY, timeout: float = LOOK_TIMEOUT) -> None:
        self._client = Client(url, timeout)
        self._interval = interval
        self._looks: queue.SimpleQueue[Look] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._free = threading.Event()
        self._complained = False
        # A look may hang for LOOK_TIMEOUT; nobody waits for it.
        threading.Thread(target=self._run, name="resource-gate-look", daemon=True).start()

    def take(self) -> list[Look]:
        """Return the looks since the last call, oldest first."""
        found = []
        while not self._looks.empty():
            found.append(self._looks.get())
        return found

    def free(self) -> None:
        """Have the server free all it can before the next look."""
        self._free.set()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self) -> None:
        try:
            stock, interval, young = 0, min(self._interval, LOOK_AT_FIRST), YOUNG_LOOKS
            while not self._stop.wait(interval):
                freed = self._free.is_set() and self._ask_to_free()
                look = look_at(self._client, stock=stock > 0)
                # It need not be asked each time for what it has not.
                stock = (stock or STOCK_LOOKS + 1) - 1 if look.answer is Answer.STOCK else 0
                young -= look.answer is Answer.GATE
                if look.answer is Answer.STOCK or young <= 0:
                    interval = self._interval
                self._looks.put(replace(look, freed=freed))
        except Exception:  # a thread's boundary: said, and the process itself is watched on
            logger.exception("looking at the server ended")

    def _ask_to_free(self) -> bool:
        try:
            self._client.call("POST", "/resource_gate/free", {"level": "emergency"}, timeout=FREE_TIMEOUT)
        except ClientError as error:
            conflict = isinstance(error, RequestRefused) and error.status == http.HTTPStatus.CONFLICT
            if not conflict and not self._complained:  # a conflict: a part of it waits for a node; asked again
                self._complained = True
                logger.warning("the server could not be told to free memory: %s", error)
            return False
        self._free.clear()
        return True

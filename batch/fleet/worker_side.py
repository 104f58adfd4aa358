"""What runs in a Dask worker's process: looks at its one server, and performs jobs on it."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import shutil
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from ...version import __version__
from ..client import Client
from ..errors import ClientError, ServerSilent
from ..joblist.job import Job
from ..runner.events import Tell
from ..runner.options import RunOptions
from ..runner.perform import perform
from ..runner.prompt import Prompt
from ..runner.result import STOPPED, JobResult
from ..runner.server import Server
from ..runner.stopping import Stop
from .machine import ILL, Reading, look
from .strays import ENDED, GONE

NAME = "resource-gate"
"""Of the plugin at its worker, and of what it takes from Dask's resources."""
SLOT = {"resource-gate server": 1}
"""Dask's own account of it: one job a server, whoever gives it, also of two batches on one scheduler."""
LOOKS = "resource-gate-machines"
"""Topic of the looks."""
LOOK_INTERVAL = 2.0
"""Seconds between two looks at the server; one costs it well under a millisecond."""
LOOK_TIMEOUT = 10.0
"""Seconds for the server to answer one: a long gc or pickle stalls its loop for a second or two."""
LEAVING = "leaving"
"""Name of the file in the worker's folder that says: take no further job."""
LEASES = "leases"
"""Name of the folder below it with one folder for each job that is here."""

log = logging.getLogger(__name__)

Perform = Callable[[Job, Server, RunOptions, Tell, threading.Event, int], JobResult]


@dataclass(frozen=True)
class Order:
    """One job as it is sent. Can be pickled.

    Attributes:
        lease: names this giving of the job.
        topic: the events of its batch go there.
        here: whether `options.out` is a folder of this machine; else outputs wait in the lease's folder to be fetched.
        files: paths of `job.files` in the lease's folder, in their order; empty where they lie where they are named.
    """

    lease: str
    job: Job
    options: RunOptions
    first_attempt: int
    topic: str
    here: bool
    files: tuple[str, ...] = ()


class MachinePlugin(WorkerPlugin):
    """Ties a worker to one server.

    Args:
        machine: its name, unique in the cluster.
        url: of the server, as this worker reaches it.
        folder: for files on their way; what is in it is this worker's.
    """

    name = NAME

    def __init__(self, machine: str, url: str, folder: Path) -> None:
        self.machine, self.url, self.folder = machine, url, folder
        self._ending = threading.Event()
        self._stops: dict[str, Stop] = {}
        self._dropped: set[str] = set()
        self._server: Server | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"machine": self.machine, "url": self.url, "folder": self.folder}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def setup(self, worker: Worker) -> None:
        """Start to look. Called by Dask, in the worker's event loop."""
        if threading.current_thread() is threading.main_thread():
            # Ctrl-C at a terminal reaches every process of it; who runs the batch decides what it means.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        shutil.rmtree(self.folder / LEASES, ignore_errors=True)  # of a worker before us that was killed
        threading.Thread(target=self._look, args=(worker,), name="resource-gate-look", daemon=True).start()

    def teardown(self, worker: Worker) -> None:
        """Stop what runs. Called by Dask."""
        self._ending.set()
        for stop in list(self._stops.values()):
            stop.set()

    def perform(self, order: Order, worker: Worker, run: Perform = perform) -> dict[str, Any]:
        """Do one job; what comes of it, in plain types."""
        if order.lease in self._dropped:
            return as_dict(JobResult(False, STOPPED, "the batch was stopped before the job began"))
        stop = self._stops[order.lease] = Stop()
        place = self.folder / LEASES / order.lease
        place.mkdir(parents=True, exist_ok=True)
        job, options = order.job, order.options
        if order.files:
            files = tuple(
                dataclasses.replace(file, path=self.folder / path)
                for file, path in zip(job.files, order.files, strict=True)
            )
            job = dataclasses.replace(job, files=files)
        if not order.here:
            options = dataclasses.replace(options, out=place / "out")

        def tell(event: Mapping[str, Any]) -> None:
            worker.log_event(order.topic, {"lease": order.lease, "event": dict(event)})

        self._server = self._server or Server(self.url, self.machine)
        try:
            result = run(job, self._server, options, tell, stop, order.first_attempt)
        finally:
            del self._stops[order.lease]
            if order.here or stop.leaves:  # let go of: what of it lies here is fetched by nobody
                shutil.rmtree(place, ignore_errors=True)
        if not order.here:
            result = dataclasses.replace(result, outputs=tuple(p.relative_to(options.out) for p in result.outputs))
        return as_dict(result)

    def stop(self, lease: str) -> None:
        """Have a job stop, whether it has begun or not."""
        self._dropped.add(lease)
        if lease in self._stops:
            self._stops[lease].set()

    def let_go(self, lease: str) -> None:
        """Have a job end here that is given anew, here or elsewhere; its prompt stays at the server."""
        self._dropped.add(lease)
        if lease in self._stops:
            self._stops[lease].let_go()
        else:
            shutil.rmtree(self.folder / LEASES / lease, ignore_errors=True)

    def call_off(self, ids: Sequence[str]) -> list[str]:
        """Cancel prompts at the server; `GONE` or `ENDED` each.

        Raises:
            ClientError: it does not answer.
        """
        server, outcomes = Server(self.url, self.machine, open_socket=None), []
        for prompt in (Prompt(server, one) for one in ids):
            ended = prompt.end() is not None
            if not ended and not prompt.cancel():
                raise ServerSilent(f"{self.url} did not cancel {prompt.id} in time")
            outcomes.append(ENDED if ended else GONE)
        return outcomes

    def foretell(self, graph: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the server says that a graph would need; None where it cannot tell."""
        try:
            answer = Client(self.url, LOOK_TIMEOUT).call("POST", "/resource_gate/predictions", {"prompt": graph})
        except ClientError:  # a stock server, an older one, one that is busy: what the batch has learned must do
            return None
        need = answer.get("need") if isinstance(answer, Mapping) else None
        return need if isinstance(need, Mapping) else None

    def _look(self, worker: Worker) -> None:
        client = Client(self.url, LOOK_TIMEOUT)
        while not self._ending.wait(0.0 if worker.status.name == "running" else 0.1):
            if worker.status.name != "running":
                continue  # not registered yet: nobody would hear of it
            reading = look(client)
            if (self.folder / LEAVING).exists():
                why = "it was told to leave, and takes no more jobs"
                reading = dataclasses.replace(reading, state=ILL, reason=why, cause={"code": "leaving"})
            self._report(worker, reading)
            self._ending.wait(LOOK_INTERVAL)

    def _report(self, worker: Worker, reading: Reading) -> None:
        try:
            worker.log_event(
                LOOKS,
                {
                    "machine": self.machine,
                    "url": self.url,
                    "address": worker.address,
                    "version": __version__,
                    "reading": reading.as_dict(),
                },
            )
        except Exception as error:  # noqa: BLE001 - the connection to the scheduler may break at any moment; it is tried again
            log.info("a look was not reported: %s", error)


def as_dict(result: JobResult) -> dict[str, Any]:
    """Return a result in plain types."""
    told = {one.name: getattr(result, one.name) for one in dataclasses.fields(result)}
    return {**told, "outputs": [str(path) for path in result.outputs], "peak_vram": dict(result.peak_vram)}


def as_result(told: Mapping[str, Any]) -> JobResult:
    """Read what `as_dict` made."""
    outputs = tuple(Path(path) for path in told["outputs"])
    return JobResult(**{**told, "outputs": outputs, "actions": tuple(told["actions"])})


def run_order(order: Order) -> dict[str, Any]:
    """Perform an order on the worker that this is called on: the task that Dask is given."""
    worker = get_worker()
    plugin = worker.plugins[NAME]
    if not isinstance(plugin, MachinePlugin):
        raise TypeError(f"{worker.name} is no worker of `resource-gate worker`")
    return plugin.perform(order, worker)


def stop_lease(lease: str, dask_worker: Any = None) -> None:
    """Stop a job on the worker that this is called on."""
    dask_worker.plugins[NAME].stop(lease)


def let_go(lease: str, dask_worker: Any = None) -> None:
    """End a job on the worker that this is called on, and leave its prompt at the server."""
    dask_worker.plugins[NAME].let_go(lease)


async def call_off(ids: Sequence[str], dask_worker: Any = None) -> list[str]:
    """Cancel prompts at the server of the worker that this is called on."""
    outcomes: list[str] = await asyncio.to_thread(dask_worker.plugins[NAME].call_off, ids)
    return outcomes


async def definitions(dask_worker: Any = None) -> Any:
    """What `GET /object_info` answers at the server of the worker that this is called on; None where it is not ours."""
    plugin = dask_worker.plugins.get(NAME)
    return await asyncio.to_thread(Client(plugin.url).call, "GET", "/object_info") if plugin is not None else None


async def foretell(graph: Mapping[str, Any], dask_worker: Any = None) -> Mapping[str, Any] | None:
    """Ask the server of the worker that this is called on."""
    told: Mapping[str, Any] | None = await asyncio.to_thread(dask_worker.plugins[NAME].foretell, graph)
    return told


async def at_desk(function: Callable[..., Any], arguments: tuple[Any, ...], dask_worker: Any = None) -> Any:
    """Call a function of `parcels` with the folder of the worker that this is called on; its loop goes on meanwhile."""
    return await asyncio.to_thread(function, dask_worker.plugins[NAME].folder, *arguments)
